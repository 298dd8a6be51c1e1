CREATE TABLE participation.improvement (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	month_on DATE NOT NULL, 
	topic VARCHAR(40) NOT NULL, 
	voices INTEGER NOT NULL, 
	findings JSONB DEFAULT '[]'::jsonb NOT NULL, 
	measure VARCHAR(500), 
	due_on DATE, 
	state VARCHAR(40) NOT NULL, 
	done_on DATE, 
	CONSTRAINT pk_improvement PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_improvement_community_id_month_on_topic UNIQUE (community_id, month_on, topic), 
	CONSTRAINT fk_improvement_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_improvement_topic CHECK (topic IN ('cleaning', 'security', 'greenery', 'facilities', 'parking', 'noise', 'fees', 'staff', 'software', 'other')), 
	CONSTRAINT ck_improvement_improvement_state CHECK (state IN ('open', 'done'))
);

CREATE TABLE participation.notice (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	title VARCHAR(120) NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	body TEXT NOT NULL, 
	audience VARCHAR(40) NOT NULL, 
	is_pinned BOOLEAN DEFAULT false NOT NULL, 
	expires_on DATE, 
	state VARCHAR(40) NOT NULL, 
	published_at TIMESTAMP WITH TIME ZONE, 
	publisher VARCHAR(120), 
	CONSTRAINT pk_notice PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_notice_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_notice_notice_kind CHECK (kind IN ('general', 'supply', 'safety', 'fees', 'activity', 'disclosure')), 
	CONSTRAINT ck_notice_audience CHECK (audience IN ('everybody', 'buildings')), 
	CONSTRAINT ck_notice_notice_state CHECK (state IN ('draft', 'published', 'withdrawn'))
);

CREATE INDEX ix_notice_published ON participation.notice (community_id, published_at);

CREATE TABLE participation.questionnaire (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	title VARCHAR(120) NOT NULL, 
	introduction TEXT, 
	closes_on DATE, 
	is_nameless BOOLEAN DEFAULT false NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	CONSTRAINT pk_questionnaire PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_questionnaire_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_questionnaire_questionnaire_state CHECK (state IN ('draft', 'open', 'closed'))
);

CREATE TABLE participation.vote (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	title VARCHAR(120) NOT NULL, 
	text TEXT NOT NULL, 
	matter VARCHAR(40) NOT NULL, 
	is_secret BOOLEAN DEFAULT false NOT NULL, 
	counts_silence BOOLEAN DEFAULT false NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	opened_at TIMESTAMP WITH TIME ZONE, 
	closes_on DATE NOT NULL, 
	closed_at TIMESTAMP WITH TIME ZONE, 
	result JSONB, 
	CONSTRAINT pk_vote PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_vote_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_vote_matter CHECK (matter IN ('ordinary', 'grave')), 
	CONSTRAINT ck_vote_vote_state CHECK (state IN ('draft', 'open', 'closed', 'cancelled'))
);

CREATE INDEX ix_vote_state ON participation.vote (community_id, state);

CREATE TABLE participation.answer_sheet (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	questionnaire_id UUID NOT NULL, 
	person_id UUID, 
	answered_on DATE NOT NULL, 
	CONSTRAINT pk_answer_sheet PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_answer_sheet_questionnaire_id FOREIGN KEY(community_id, questionnaire_id) REFERENCES participation.questionnaire (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_answer_sheet_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_answer_sheet_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_answer_sheet_person_id ON participation.answer_sheet (community_id, person_id);

CREATE INDEX ix_answer_sheet_questionnaire_id ON participation.answer_sheet (community_id, questionnaire_id);

CREATE TABLE participation.feedback (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	topic VARCHAR(40) NOT NULL, 
	text TEXT NOT NULL, 
	page VARCHAR(200), 
	person_id UUID, 
	given_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	acknowledged_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_feedback PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_feedback_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_feedback_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_feedback_topic CHECK (topic IN ('cleaning', 'security', 'greenery', 'facilities', 'parking', 'noise', 'fees', 'staff', 'software', 'other'))
);

CREATE INDEX ix_feedback_given_at ON participation.feedback (community_id, given_at);

CREATE INDEX ix_feedback_person_id ON participation.feedback (community_id, person_id);

CREATE TABLE participation.fund_application (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	title VARCHAR(120) NOT NULL, 
	text TEXT NOT NULL, 
	building_id UUID, 
	budget BIGINT NOT NULL, 
	contractor VARCHAR(120), 
	vote_id UUID, 
	is_urgent BOOLEAN DEFAULT false NOT NULL, 
	emergency VARCHAR(300), 
	state VARCHAR(40) NOT NULL, 
	submitted_on DATE, 
	authority VARCHAR(120), 
	answer VARCHAR(300), 
	approved BIGINT, 
	paid BIGINT NOT NULL, 
	settled BIGINT, 
	disclosed_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_fund_application PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_fund_application_budget CHECK (budget > 0), 
	CONSTRAINT ck_fund_application_approved CHECK (approved > 0 and approved <= budget), 
	CONSTRAINT ck_fund_application_paid CHECK (paid >= 0 and paid <= coalesce(approved, 0)), 
	CONSTRAINT ck_fund_application_settled CHECK (settled >= paid and settled <= approved), 
	CONSTRAINT ck_fund_application_emergency CHECK (not is_urgent or emergency is not null), 
	CONSTRAINT fk_fund_application_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_fund_application_vote_id FOREIGN KEY(community_id, vote_id) REFERENCES participation.vote (community_id, id), 
	CONSTRAINT fk_fund_application_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_fund_application_fund_state CHECK (state IN ('draft', 'submitted', 'approved', 'returned', 'settled'))
);

CREATE INDEX ix_fund_application_building_id ON participation.fund_application (community_id, building_id);

CREATE INDEX ix_fund_application_vote_id ON participation.fund_application (community_id, vote_id);

CREATE TABLE participation.notice_building (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	notice_id UUID NOT NULL, 
	building_id UUID NOT NULL, 
	CONSTRAINT pk_notice_building PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_notice_building_community_id_notice_id_building_id UNIQUE (community_id, notice_id, building_id), 
	CONSTRAINT fk_notice_building_notice_id FOREIGN KEY(community_id, notice_id) REFERENCES participation.notice (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_notice_building_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_notice_building_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_notice_building_building_id ON participation.notice_building (community_id, building_id);

CREATE TABLE participation.notice_read (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	notice_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	read_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_notice_read PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_notice_read_community_id_notice_id_person_id UNIQUE (community_id, notice_id, person_id), 
	CONSTRAINT fk_notice_read_notice_id FOREIGN KEY(community_id, notice_id) REFERENCES participation.notice (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_notice_read_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_notice_read_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_notice_read_person_id ON participation.notice_read (community_id, person_id);

CREATE TABLE participation.public_revenue (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	title VARCHAR(120) NOT NULL, 
	amount BIGINT NOT NULL, 
	booked_on DATE NOT NULL, 
	note VARCHAR(300), 
	vote_id UUID, 
	disclosed_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_public_revenue PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_public_revenue_amount CHECK (amount > 0), 
	CONSTRAINT fk_public_revenue_vote_id FOREIGN KEY(community_id, vote_id) REFERENCES participation.vote (community_id, id), 
	CONSTRAINT fk_public_revenue_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_public_revenue_revenue_kind CHECK (kind IN ('income', 'expense'))
);

CREATE INDEX ix_public_revenue_booked_on ON participation.public_revenue (community_id, booked_on);

CREATE INDEX ix_public_revenue_vote_id ON participation.public_revenue (community_id, vote_id);

CREATE TABLE participation.question (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	questionnaire_id UUID NOT NULL, 
	position INTEGER NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	text VARCHAR(300) NOT NULL, 
	choices TEXT, 
	is_needed BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_question PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_question_community_id_questionnaire_id_position UNIQUE (community_id, questionnaire_id, position), 
	CONSTRAINT fk_question_questionnaire_id FOREIGN KEY(community_id, questionnaire_id) REFERENCES participation.questionnaire (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_question_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_question_question_kind CHECK (kind IN ('one', 'several', 'score', 'text'))
);

CREATE TABLE participation.respondent (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	questionnaire_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	CONSTRAINT pk_respondent PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_respondent_community_id_questionnaire_id_person_id UNIQUE (community_id, questionnaire_id, person_id), 
	CONSTRAINT fk_respondent_questionnaire_id FOREIGN KEY(community_id, questionnaire_id) REFERENCES participation.questionnaire (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_respondent_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_respondent_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_respondent_person_id ON participation.respondent (community_id, person_id);

CREATE TABLE participation.vote_proxy (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	vote_id UUID NOT NULL, 
	owner_id UUID NOT NULL, 
	proxy_id UUID NOT NULL, 
	CONSTRAINT pk_vote_proxy PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_vote_proxy_community_id_vote_id_owner_id UNIQUE (community_id, vote_id, owner_id), 
	CONSTRAINT ck_vote_proxy_another CHECK (owner_id <> proxy_id), 
	CONSTRAINT fk_vote_proxy_vote_id FOREIGN KEY(community_id, vote_id) REFERENCES participation.vote (community_id, id), 
	CONSTRAINT fk_vote_proxy_owner_id FOREIGN KEY(community_id, owner_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_vote_proxy_proxy_id FOREIGN KEY(community_id, proxy_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_vote_proxy_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_vote_proxy_owner_id ON participation.vote_proxy (community_id, owner_id);

CREATE INDEX ix_vote_proxy_proxy_id ON participation.vote_proxy (community_id, proxy_id);

CREATE TABLE participation.answer (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	answer_sheet_id UUID NOT NULL, 
	question_id UUID NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_answer PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_answer_answer_sheet_id FOREIGN KEY(community_id, answer_sheet_id) REFERENCES participation.answer_sheet (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_answer_question_id FOREIGN KEY(community_id, question_id) REFERENCES participation.question (community_id, id), 
	CONSTRAINT fk_answer_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_answer_answer_sheet_id ON participation.answer (community_id, answer_sheet_id);

CREATE INDEX ix_answer_question_id ON participation.answer (community_id, question_id);

CREATE TABLE participation.complaint (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	number INTEGER NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	topic VARCHAR(40) NOT NULL, 
	title VARCHAR(120) NOT NULL, 
	text TEXT NOT NULL, 
	person_id UUID, 
	room_id UUID, 
	source VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	filed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	handler VARCHAR(120), 
	answered_at TIMESTAMP WITH TIME ZONE, 
	closed_at TIMESTAMP WITH TIME ZONE, 
	times_reopened INTEGER DEFAULT 0 NOT NULL, 
	rating INTEGER, 
	rating_note VARCHAR(500), 
	CONSTRAINT pk_complaint PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_complaint_community_id_number UNIQUE (community_id, number), 
	CONSTRAINT ck_complaint_rating CHECK (rating between 1 and 5), 
	CONSTRAINT fk_complaint_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_complaint_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_complaint_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_complaint_complaint_kind CHECK (kind IN ('complaint', 'suggestion', 'praise')), 
	CONSTRAINT ck_complaint_topic CHECK (topic IN ('cleaning', 'security', 'greenery', 'facilities', 'parking', 'noise', 'fees', 'staff', 'software', 'other')), 
	CONSTRAINT ck_complaint_complaint_source CHECK (source IN ('portal', 'phone', 'desk', 'hotline')), 
	CONSTRAINT ck_complaint_complaint_state CHECK (state IN ('open', 'in_progress', 'answered', 'closed'))
);

CREATE INDEX ix_complaint_person_id ON participation.complaint (community_id, person_id);

CREATE INDEX ix_complaint_room_id ON participation.complaint (community_id, room_id);

CREATE INDEX ix_complaint_state ON participation.complaint (community_id, state);

CREATE TABLE participation.fund_account (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	paid_in BIGINT NOT NULL, 
	interest BIGINT NOT NULL, 
	used BIGINT NOT NULL, 
	balance BIGINT NOT NULL, 
	as_of_on DATE NOT NULL, 
	source VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_fund_account PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_fund_account_community_id_room_id UNIQUE (community_id, room_id), 
	CONSTRAINT ck_fund_account_amounts CHECK (paid_in >= 0 and used >= 0), 
	CONSTRAINT fk_fund_account_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_fund_account_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE participation.fund_share (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	fund_application_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	CONSTRAINT pk_fund_share PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_fund_share_community_id_fund_application_id_room_id UNIQUE (community_id, fund_application_id, room_id), 
	CONSTRAINT ck_fund_share_amount CHECK (amount >= 0), 
	CONSTRAINT fk_fund_share_fund_application_id FOREIGN KEY(community_id, fund_application_id) REFERENCES participation.fund_application (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_fund_share_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_fund_share_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_fund_share_room_id ON participation.fund_share (community_id, room_id);

CREATE TABLE participation.vote_right (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	vote_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	person_id UUID, 
	area NUMERIC(18, 8) NOT NULL, 
	cast_at TIMESTAMP WITH TIME ZONE, 
	way VARCHAR(40), 
	choice BYTEA, 
	CONSTRAINT pk_vote_right PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_vote_right_community_id_vote_id_room_id_person_id UNIQUE NULLS NOT DISTINCT (community_id, vote_id, room_id, person_id), 
	CONSTRAINT ck_vote_right_area CHECK (area >= 0), 
	CONSTRAINT fk_vote_right_vote_id FOREIGN KEY(community_id, vote_id) REFERENCES participation.vote (community_id, id), 
	CONSTRAINT fk_vote_right_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_vote_right_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_vote_right_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_vote_right_ballot_way CHECK (way IN ('online', 'proxy', 'paper'))
);

CREATE INDEX ix_vote_right_person_id ON participation.vote_right (community_id, person_id);

CREATE INDEX ix_vote_right_room_id ON participation.vote_right (community_id, room_id);

CREATE TABLE participation.complaint_reply (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	complaint_id UUID NOT NULL, 
	replied_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	author VARCHAR(120) NOT NULL, 
	is_staff BOOLEAN DEFAULT true NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_complaint_reply PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_complaint_reply_complaint_id FOREIGN KEY(community_id, complaint_id) REFERENCES participation.complaint (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_complaint_reply_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_complaint_reply_complaint_id ON participation.complaint_reply (community_id, complaint_id);

