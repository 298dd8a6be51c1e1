CREATE TABLE desk.shift (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	cashier_id UUID NOT NULL, 
	cashier_name VARCHAR(120) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	closed_at TIMESTAMP WITH TIME ZONE, 
	taken_from_id UUID, 
	opening_float BIGINT NOT NULL, 
	float_reason VARCHAR(200), 
	after_entry_id UUID NOT NULL, 
	upto_entry_id UUID, 
	expected BIGINT, 
	counted BIGINT, 
	difference BIGINT GENERATED ALWAYS AS (counted - expected) STORED, 
	difference_reason VARCHAR(200), 
	pieces JSONB, 
	pos_booked BIGINT, 
	pos_slips BIGINT, 
	pos_reason VARCHAR(200), 
	banked BIGINT DEFAULT 0 NOT NULL, 
	bank_slip VARCHAR(80), 
	kept BIGINT GENERATED ALWAYS AS (counted - banked) STORED, 
	takings JSONB, 
	signed_by UUID, 
	signed_name VARCHAR(120), 
	CONSTRAINT pk_shift PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_shift_community_id_taken_from_id UNIQUE (community_id, taken_from_id), 
	CONSTRAINT ck_shift_amounts CHECK (opening_float >= 0 and banked >= 0), 
	CONSTRAINT ck_shift_difference_explained CHECK (state = 'open' or counted = expected or difference_reason is not null), 
	CONSTRAINT ck_shift_pos_explained CHECK (state = 'open' or pos_slips = pos_booked or pos_reason is not null), 
	CONSTRAINT ck_shift_banked CHECK (banked <= counted), 
	CONSTRAINT fk_shift_taken_from_id FOREIGN KEY(community_id, taken_from_id) REFERENCES desk.shift (community_id, id), 
	CONSTRAINT fk_shift_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_shift_shift_state CHECK (state IN ('open', 'closed', 'signed_off'))
);

CREATE INDEX ix_shift_opened_at ON desk.shift (community_id, opened_at);

CREATE UNIQUE INDEX uq_shift_open ON desk.shift (community_id, cashier_id) WHERE state = 'open';

CREATE TABLE desk.draft (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	cashier_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	others JSONB NOT NULL, 
	chosen JSONB NOT NULL, 
	note VARCHAR(80) NOT NULL, 
	parked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_draft PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_draft_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_draft_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_draft_cashier_id ON desk.draft (community_id, cashier_id);

CREATE INDEX ix_draft_room_id ON desk.draft (community_id, room_id);

CREATE TABLE desk.release_pass (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	number INTEGER NOT NULL, 
	room_id UUID NOT NULL, 
	person_id UUID, 
	items VARCHAR(1000) NOT NULL, 
	bearer VARCHAR(60) NOT NULL, 
	plate VARCHAR(12), 
	from_on DATE NOT NULL, 
	until_on DATE NOT NULL, 
	owner_word VARCHAR(200), 
	state VARCHAR(40) NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	asked_by UUID, 
	asked_name VARCHAR(120) NOT NULL, 
	decided_name VARCHAR(120), 
	reason VARCHAR(200), 
	left_at TIMESTAMP WITH TIME ZONE, 
	guard_name VARCHAR(120), 
	gate_note VARCHAR(200), 
	CONSTRAINT pk_release_pass PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_release_pass_community_id_number UNIQUE (community_id, number), 
	CONSTRAINT uq_release_pass_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT ck_release_pass_days CHECK (until_on >= from_on and until_on - from_on <= 30), 
	CONSTRAINT fk_release_pass_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_release_pass_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_release_pass_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_release_pass_release_state CHECK (state IN ('requested', 'issued', 'left', 'refused', 'revoked'))
);

CREATE INDEX ix_release_pass_person_id ON desk.release_pass (community_id, person_id);

CREATE INDEX ix_release_pass_room_id ON desk.release_pass (community_id, room_id);

CREATE INDEX ix_release_pass_state ON desk.release_pass (community_id, state);

CREATE TABLE desk.taking (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	shift_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	received BIGINT NOT NULL, 
	change BIGINT GENERATED ALWAYS AS (received - amount) STORED NOT NULL, 
	idempotency_key VARCHAR(80) NOT NULL, 
	taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_taking PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_taking_community_id_idempotency_key UNIQUE (community_id, idempotency_key), 
	CONSTRAINT ck_taking_amounts CHECK (amount > 0 and received >= amount), 
	CONSTRAINT fk_taking_shift_id FOREIGN KEY(community_id, shift_id) REFERENCES desk.shift (community_id, id), 
	CONSTRAINT fk_taking_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_taking_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_taking_room_id ON desk.taking (community_id, room_id);

CREATE INDEX ix_taking_shift_id ON desk.taking (community_id, shift_id);

CREATE TABLE desk.void_request (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	payment_id UUID NOT NULL, 
	shift_id UUID NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	asked_on DATE NOT NULL, 
	asked_by UUID NOT NULL, 
	asked_name VARCHAR(120) NOT NULL, 
	decided_by UUID, 
	decided_name VARCHAR(120), 
	CONSTRAINT pk_void_request PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_void_request_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_void_request_shift_id FOREIGN KEY(community_id, shift_id) REFERENCES desk.shift (community_id, id), 
	CONSTRAINT fk_void_request_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_void_request_void_state CHECK (state IN ('asked', 'approved', 'refused', 'done'))
);

CREATE INDEX ix_void_request_shift_id ON desk.void_request (community_id, shift_id);

CREATE UNIQUE INDEX uq_void_request_payment ON desk.void_request (community_id, payment_id) WHERE state <> 'refused';

CREATE TABLE desk.taking_payment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	taking_id UUID NOT NULL, 
	payment_id UUID NOT NULL, 
	CONSTRAINT pk_taking_payment PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_taking_payment_community_id_payment_id UNIQUE (community_id, payment_id), 
	CONSTRAINT fk_taking_payment_taking_id FOREIGN KEY(community_id, taking_id) REFERENCES desk.taking (community_id, id), 
	CONSTRAINT fk_taking_payment_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_taking_payment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_taking_payment_taking_id ON desk.taking_payment (community_id, taking_id);

