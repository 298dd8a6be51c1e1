CREATE TABLE lost_property.item (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	building_id UUID, 
	found_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	receiver VARCHAR(80), 
	finder_phone BYTEA, 
	finder_phone_index BYTEA, 
	finder_phone_tail BYTEA, 
	CONSTRAINT pk_item PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_item_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_item_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_item_item_state CHECK (state IN ('kept', 'returned'))
);

CREATE INDEX ix_item_building_id ON lost_property.item (community_id, building_id);

CREATE INDEX ix_item_finder_phone_index ON lost_property.item (community_id, finder_phone_index);

CREATE INDEX ix_item_finder_phone_tail ON lost_property.item (community_id, finder_phone_tail);

CREATE TABLE lost_property.enquiry (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	what VARCHAR(80) NOT NULL, 
	person_id UUID NOT NULL, 
	lost_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	item_id UUID, 
	CONSTRAINT pk_enquiry PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_enquiry_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_enquiry_item_id FOREIGN KEY(community_id, item_id) REFERENCES lost_property.item (community_id, id), 
	CONSTRAINT fk_enquiry_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_enquiry_enquiry_state CHECK (state IN ('open', 'matched', 'closed'))
);

CREATE INDEX ix_enquiry_item_id ON lost_property.enquiry (community_id, item_id);

CREATE INDEX ix_enquiry_person_id ON lost_property.enquiry (community_id, person_id);

