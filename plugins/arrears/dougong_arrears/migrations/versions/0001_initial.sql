CREATE TABLE arrears.collector (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	user_id UUID, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_collector PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_collector_community_id_user_id UNIQUE (community_id, user_id), 
	CONSTRAINT fk_collector_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE arrears.reminder_level (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	days INTEGER NOT NULL, 
	wording VARCHAR(40) NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_reminder_level PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_reminder_level_community_id_days UNIQUE (community_id, days), 
	CONSTRAINT fk_reminder_level_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_reminder_level_wording CHECK (wording IN ('due_soon', 'overdue', 'overdue_again', 'final_demand'))
);

CREATE TABLE arrears.collector_building (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	collector_id UUID NOT NULL, 
	building_id UUID NOT NULL, 
	CONSTRAINT pk_collector_building PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_collector_building_community_id_building_id UNIQUE (community_id, building_id), 
	CONSTRAINT fk_collector_building_collector_id FOREIGN KEY(community_id, collector_id) REFERENCES arrears.collector (community_id, id), 
	CONSTRAINT fk_collector_building_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_collector_building_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_collector_building_collector_id ON arrears.collector_building (community_id, collector_id);

CREATE TABLE arrears.notice_run (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	building_id UUID, 
	least BIGINT NOT NULL, 
	pay_by_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	count INTEGER DEFAULT 0 NOT NULL, 
	size INTEGER DEFAULT 0 NOT NULL, 
	job_id UUID, 
	user_id UUID, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	expires_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_notice_run PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_notice_run_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_notice_run_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_notice_run_notice_kind CHECK (kind IN ('demands', 'public')), 
	CONSTRAINT ck_notice_run_notice_state CHECK (state IN ('waiting', 'ready'))
);

CREATE INDEX ix_notice_run_building_id ON arrears.notice_run (community_id, building_id);

CREATE TABLE arrears.reminder_choice (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID NOT NULL, 
	wants_due_soon BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_reminder_choice PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_reminder_choice_community_id_person_id UNIQUE (community_id, person_id), 
	CONSTRAINT fk_reminder_choice_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_reminder_choice_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE arrears.agreement (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	signed_on DATE NOT NULL, 
	ended_on DATE, 
	state VARCHAR(40) NOT NULL, 
	CONSTRAINT pk_agreement PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_agreement_amount CHECK (amount > 0), 
	CONSTRAINT fk_agreement_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_agreement_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_agreement_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_agreement_agreement_state CHECK (state IN ('active', 'kept', 'defaulted', 'cancelled'))
);

CREATE INDEX ix_agreement_payer_id ON arrears.agreement (community_id, payer_id);

CREATE INDEX ix_agreement_room_id ON arrears.agreement (community_id, room_id);

CREATE TABLE arrears.collection_case (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	collector_id UUID, 
	next_step VARCHAR(40) NOT NULL, 
	next_on DATE, 
	CONSTRAINT pk_collection_case PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_collection_case_community_id_room_id_payer_id UNIQUE (community_id, room_id, payer_id), 
	CONSTRAINT fk_collection_case_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_collection_case_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_collection_case_collector_id FOREIGN KEY(community_id, collector_id) REFERENCES arrears.collector (community_id, id), 
	CONSTRAINT fk_collection_case_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_collection_case_next_step CHECK (next_step IN ('call', 'visit', 'letter', 'instalments', 'lawyer', 'court', 'wait'))
);

CREATE INDEX ix_collection_case_collector_id ON arrears.collection_case (community_id, collector_id);

CREATE INDEX ix_collection_case_payer_id ON arrears.collection_case (community_id, payer_id);

CREATE TABLE arrears.contact (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	outcome VARCHAR(40) NOT NULL, 
	interrupts VARCHAR(40), 
	happened_on DATE NOT NULL, 
	user_id UUID, 
	note BYTEA, 
	CONSTRAINT pk_contact PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_contact_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_contact_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_contact_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_contact_contact_kind CHECK (kind IN ('call', 'visit', 'message', 'letter', 'court')), 
	CONSTRAINT ck_contact_outcome CHECK (outcome IN ('reached', 'not_reached', 'promised', 'refused')), 
	CONSTRAINT ck_contact_interruption CHECK (interrupts IN ('demand', 'acknowledgement', 'lawsuit'))
);

CREATE INDEX ix_contact_about ON arrears.contact (community_id, room_id, payer_id, happened_on);

CREATE INDEX ix_contact_payer_id ON arrears.contact (community_id, payer_id);

CREATE TABLE arrears.letter (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	run_id UUID NOT NULL, 
	number VARCHAR(40) NOT NULL, 
	room_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	delivered_on DATE, 
	CONSTRAINT pk_letter PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_letter_community_id_number UNIQUE (community_id, number), 
	CONSTRAINT fk_letter_run_id FOREIGN KEY(community_id, run_id) REFERENCES arrears.notice_run (community_id, id), 
	CONSTRAINT fk_letter_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_letter_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_letter_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_letter_payer_id ON arrears.letter (community_id, payer_id);

CREATE INDEX ix_letter_room_id ON arrears.letter (community_id, room_id);

CREATE INDEX ix_letter_run_id ON arrears.letter (community_id, run_id);

CREATE TABLE arrears.payment_promise (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	by_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_payment_promise PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_payment_promise_amount CHECK (amount > 0), 
	CONSTRAINT fk_payment_promise_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_payment_promise_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_payment_promise_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_payment_promise_promise_state CHECK (state IN ('open', 'kept', 'broken'))
);

CREATE INDEX ix_payment_promise_about ON arrears.payment_promise (community_id, room_id, payer_id, by_on);

CREATE INDEX ix_payment_promise_payer_id ON arrears.payment_promise (community_id, payer_id);

CREATE TABLE arrears.instalment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	agreement_id UUID NOT NULL, 
	number INTEGER NOT NULL, 
	due_on DATE NOT NULL, 
	amount BIGINT NOT NULL, 
	CONSTRAINT pk_instalment PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_instalment_community_id_agreement_id_number UNIQUE (community_id, agreement_id, number), 
	CONSTRAINT ck_instalment_amount CHECK (amount > 0), 
	CONSTRAINT fk_instalment_agreement_id FOREIGN KEY(community_id, agreement_id) REFERENCES arrears.agreement (community_id, id), 
	CONSTRAINT fk_instalment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE arrears.agreement_bill (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	agreement_id UUID NOT NULL, 
	bill_id UUID NOT NULL, 
	owed BIGINT NOT NULL, 
	CONSTRAINT pk_agreement_bill PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_agreement_bill_community_id_agreement_id_bill_id UNIQUE (community_id, agreement_id, bill_id), 
	CONSTRAINT fk_agreement_bill_agreement_id FOREIGN KEY(community_id, agreement_id) REFERENCES arrears.agreement (community_id, id), 
	CONSTRAINT fk_agreement_bill_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_agreement_bill_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_agreement_bill_bill_id ON arrears.agreement_bill (community_id, bill_id);

CREATE TABLE arrears.dispute (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	bill_id UUID NOT NULL, 
	reason VARCHAR(500) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	outcome VARCHAR(200), 
	opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	settled_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_dispute PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_dispute_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_dispute_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_dispute_dispute_state CHECK (state IN ('open', 'settled'))
);

CREATE INDEX ix_dispute_bill_id ON arrears.dispute (community_id, bill_id);

CREATE UNIQUE INDEX uq_dispute_bill_open ON arrears.dispute (community_id, bill_id) WHERE state = 'open';

CREATE TABLE arrears.reminder (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	level_id UUID NOT NULL, 
	bill_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	message_id UUID NOT NULL, 
	sent_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_reminder PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_reminder_community_id_bill_id_level_id UNIQUE (community_id, bill_id, level_id), 
	CONSTRAINT fk_reminder_level_id FOREIGN KEY(community_id, level_id) REFERENCES arrears.reminder_level (community_id, id), 
	CONSTRAINT fk_reminder_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_reminder_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_reminder_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_reminder_message_id FOREIGN KEY(community_id, message_id) REFERENCES dougong.message (community_id, id), 
	CONSTRAINT fk_reminder_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_reminder_payer_id ON arrears.reminder (community_id, payer_id);

CREATE INDEX ix_reminder_room_id ON arrears.reminder (community_id, room_id);

