CREATE TABLE meters.month_balance (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	month_on DATE NOT NULL, 
	commodity VARCHAR(40) NOT NULL, 
	reckoned_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	places JSONB NOT NULL, 
	CONSTRAINT pk_month_balance PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_month_balance_community_id_month_on_commodity UNIQUE (community_id, month_on, commodity), 
	CONSTRAINT ck_month_balance_month_on CHECK (extract(day from month_on) = 1), 
	CONSTRAINT fk_month_balance_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_month_balance_commodity CHECK (commodity IN ('water', 'electricity', 'gas', 'heat'))
);

CREATE TABLE meters.meter (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	serial VARCHAR(40) NOT NULL, 
	commodity VARCHAR(40) NOT NULL, 
	building_id UUID, 
	room_id UUID, 
	role VARCHAR(40) NOT NULL, 
	multiplier NUMERIC(12, 4) NOT NULL, 
	digits INTEGER, 
	installed_on DATE NOT NULL, 
	install_value NUMERIC(18, 4) NOT NULL, 
	verification_ends_on DATE, 
	removed_on DATE, 
	removal_value NUMERIC(18, 4), 
	state VARCHAR(40) NOT NULL, 
	replaces_id UUID, 
	last_value NUMERIC(18, 4), 
	last_read_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_meter PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_meter_community_id_serial UNIQUE (community_id, serial), 
	CONSTRAINT ck_meter_multiplier CHECK (multiplier > 0), 
	CONSTRAINT ck_meter_removed_on CHECK (removed_on is null or removed_on >= installed_on), 
	CONSTRAINT fk_meter_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_meter_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_meter_replaces_id FOREIGN KEY(community_id, replaces_id) REFERENCES meters.meter (community_id, id), 
	CONSTRAINT fk_meter_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_meter_commodity CHECK (commodity IN ('water', 'electricity', 'gas', 'heat')), 
	CONSTRAINT ck_meter_meter_role CHECK (role IN ('own', 'main', 'shared')), 
	CONSTRAINT ck_meter_meter_state CHECK (state IN ('installed', 'removed'))
);

CREATE INDEX ix_meter_building_id ON meters.meter (community_id, building_id);

CREATE INDEX ix_meter_replaces_id ON meters.meter (community_id, replaces_id);

CREATE INDEX ix_meter_room_commodity ON meters.meter (community_id, room_id, commodity);

CREATE INDEX ix_meter_room_id ON meters.meter (community_id, room_id);

CREATE TABLE meters.alarm (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	meter_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	raised_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	detail VARCHAR(200) NOT NULL, 
	closed_at TIMESTAMP WITH TIME ZONE, 
	note VARCHAR(200), 
	CONSTRAINT pk_alarm PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_alarm_meter_id FOREIGN KEY(community_id, meter_id) REFERENCES meters.meter (community_id, id), 
	CONSTRAINT fk_alarm_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_alarm_alarm_kind CHECK (kind IN ('leak', 'zero_use', 'reverse', 'offline', 'tamper', 'verification')), 
	CONSTRAINT ck_alarm_alarm_state CHECK (state IN ('open', 'closed'))
);

CREATE INDEX ix_alarm_meter_id ON meters.alarm (community_id, meter_id);

CREATE UNIQUE INDEX uq_alarm_open ON meters.alarm (community_id, meter_id, kind) WHERE state = 'open';

CREATE TABLE meters.month_counter (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	meter_id UUID NOT NULL, 
	begins_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	value NUMERIC(18, 4), 
	read_at TIMESTAMP WITH TIME ZONE, 
	is_estimated BOOLEAN NOT NULL, 
	rolled INTEGER NOT NULL, 
	CONSTRAINT pk_month_counter PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_month_counter_community_id_meter_id_begins_at UNIQUE (community_id, meter_id, begins_at), 
	CONSTRAINT fk_month_counter_meter_id FOREIGN KEY(community_id, meter_id) REFERENCES meters.meter (community_id, id) ON DELETE CASCADE
);

CREATE INDEX ix_month_counter_begins_at ON meters.month_counter (community_id, begins_at);

CREATE TABLE meters.reading (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	meter_id UUID NOT NULL, 
	read_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	value NUMERIC(18, 4) NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	source VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	reason VARCHAR(200), 
	CONSTRAINT pk_reading PRIMARY KEY (community_id, id, read_at), 
	CONSTRAINT uq_reading_meter_read_at UNIQUE (community_id, meter_id, read_at), 
	CONSTRAINT ck_reading_value CHECK (value >= 0), 
	CONSTRAINT fk_reading_meter_id FOREIGN KEY(community_id, meter_id) REFERENCES meters.meter (community_id, id), 
	CONSTRAINT fk_reading_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_reading_reading_kind CHECK (kind IN ('normal', 'estimate', 'replacement', 'rollover', 'correction')), 
	CONSTRAINT ck_reading_reading_source CHECK (source IN ('manual', 'photo', 'import', 'collector', 'ic_card')), 
	CONSTRAINT ck_reading_reading_state CHECK (state IN ('accepted', 'suspect', 'rejected'))
)
 PARTITION BY RANGE (read_at);

CREATE TABLE meters.reading_rest PARTITION OF meters.reading DEFAULT;

CREATE INDEX ix_reading_estimate ON meters.reading (community_id, meter_id, read_at) WHERE kind = 'estimate';

CREATE INDEX ix_reading_rollover ON meters.reading (community_id, meter_id, read_at) WHERE kind = 'rollover';

CREATE INDEX ix_reading_suspect ON meters.reading (community_id, read_at) WHERE state = 'suspect';

