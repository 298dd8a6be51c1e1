CREATE TABLE renovation.application (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	number INTEGER NOT NULL, 
	room_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	works JSONB DEFAULT '[]'::jsonb NOT NULL, 
	text VARCHAR(1000) DEFAULT '' NOT NULL, 
	contractor VARCHAR(120), 
	starts_on DATE NOT NULL, 
	ends_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	submitted_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	terms VARCHAR(1000), 
	deposit_amount BIGINT DEFAULT 0 NOT NULL, 
	deposit_id UUID, 
	signed_at TIMESTAMP WITH TIME ZONE, 
	permit_number VARCHAR(40), 
	permitted_at TIMESTAMP WITH TIME ZONE, 
	valid_until_on DATE, 
	neighbours_told INTEGER DEFAULT 0 NOT NULL, 
	finished_at TIMESTAMP WITH TIME ZONE, 
	accepted_at TIMESTAMP WITH TIME ZONE, 
	refund_from_on DATE, 
	claimed BIGINT DEFAULT 0 NOT NULL, 
	given_back BIGINT DEFAULT 0 NOT NULL, 
	settled_at TIMESTAMP WITH TIME ZONE, 
	contact_phone BYTEA, 
	contact_phone_index BYTEA, 
	contact_phone_tail BYTEA, 
	CONSTRAINT pk_application PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_application_community_id_number UNIQUE (community_id, number), 
	CONSTRAINT ck_application_days CHECK (ends_on >= starts_on), 
	CONSTRAINT ck_application_amounts CHECK (deposit_amount >= 0 and claimed >= 0 and given_back >= 0), 
	CONSTRAINT fk_application_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_application_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_application_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_application_application_state CHECK (state IN ('submitted', 'returned', 'agreed', 'signed', 'underway', 'stopped', 'finished', 'accepted', 'settled', 'refused', 'withdrawn'))
);

CREATE INDEX ix_application_contact_phone_index ON renovation.application (community_id, contact_phone_index);

CREATE INDEX ix_application_contact_phone_tail ON renovation.application (community_id, contact_phone_tail);

CREATE INDEX ix_application_person_id ON renovation.application (community_id, person_id);

CREATE INDEX ix_application_room_id ON renovation.application (community_id, room_id);

CREATE INDEX ix_application_state ON renovation.application (community_id, state);

CREATE TABLE renovation.application_step (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	application_id UUID NOT NULL, 
	verb VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	taken_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	author VARCHAR(120) NOT NULL, 
	note VARCHAR(1000), 
	CONSTRAINT pk_application_step PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_application_step_application_id FOREIGN KEY(community_id, application_id) REFERENCES renovation.application (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_application_step_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_application_step_application_state CHECK (state IN ('submitted', 'returned', 'agreed', 'signed', 'underway', 'stopped', 'finished', 'accepted', 'settled', 'refused', 'withdrawn'))
);

CREATE INDEX ix_application_step_application_id ON renovation.application_step (community_id, application_id);

CREATE TABLE renovation.document (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	application_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	handed_in_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_document PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_document_application_id FOREIGN KEY(community_id, application_id) REFERENCES renovation.application (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_document_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_document_document_kind CHECK (kind IN ('ownership', 'identity', 'plan', 'contractor', 'consent', 'design', 'approval', 'method', 'other'))
);

CREATE INDEX ix_document_application_id ON renovation.document (community_id, application_id);

CREATE TABLE renovation.inspection (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	application_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	inspected_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	inspector VARCHAR(120) NOT NULL, 
	is_passed BOOLEAN DEFAULT true NOT NULL, 
	note VARCHAR(1000), 
	CONSTRAINT pk_inspection PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_inspection_application_id FOREIGN KEY(community_id, application_id) REFERENCES renovation.application (community_id, id), 
	CONSTRAINT fk_inspection_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_inspection_inspection_kind CHECK (kind IN ('routine', 'hidden_works', 'water_test', 'completion'))
);

CREATE INDEX ix_inspection_application_id ON renovation.inspection (community_id, application_id);

CREATE TABLE renovation.violation (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	application_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	text VARCHAR(1000) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	found_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	is_quiet_time BOOLEAN NOT NULL, 
	due_on DATE, 
	rectified_at TIMESTAMP WITH TIME ZONE, 
	claim BIGINT NOT NULL, 
	reported_to VARCHAR(120), 
	reported_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_violation PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_violation_claim CHECK (claim >= 0), 
	CONSTRAINT fk_violation_application_id FOREIGN KEY(community_id, application_id) REFERENCES renovation.application (community_id, id), 
	CONSTRAINT fk_violation_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_violation_violation_kind CHECK (kind IN ('forbidden_work', 'noise', 'rubbish', 'damage', 'fire_safety', 'no_pass', 'other')), 
	CONSTRAINT ck_violation_violation_state CHECK (state IN ('reported', 'open', 'rectified', 'dismissed'))
);

CREATE INDEX ix_violation_application_id ON renovation.violation (community_id, application_id);

CREATE INDEX ix_violation_state ON renovation.violation (community_id, state);

CREATE TABLE renovation.worker_pass (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	application_id UUID NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	trade VARCHAR(40) DEFAULT '' NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	issued_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	revoked_at TIMESTAMP WITH TIME ZONE, 
	id_number BYTEA NOT NULL, 
	id_number_index BYTEA, 
	id_number_tail BYTEA, 
	phone BYTEA, 
	phone_index BYTEA, 
	phone_tail BYTEA, 
	CONSTRAINT pk_worker_pass PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_worker_pass_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT fk_worker_pass_application_id FOREIGN KEY(community_id, application_id) REFERENCES renovation.application (community_id, id), 
	CONSTRAINT fk_worker_pass_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_worker_pass_application_id ON renovation.worker_pass (community_id, application_id);

CREATE INDEX ix_worker_pass_id_number_index ON renovation.worker_pass (community_id, id_number_index);

CREATE INDEX ix_worker_pass_id_number_tail ON renovation.worker_pass (community_id, id_number_tail);

CREATE INDEX ix_worker_pass_phone_index ON renovation.worker_pass (community_id, phone_index);

CREATE INDEX ix_worker_pass_phone_tail ON renovation.worker_pass (community_id, phone_tail);

