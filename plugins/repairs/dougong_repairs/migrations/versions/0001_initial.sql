CREATE TABLE repairs.calendar_day (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	day_on DATE NOT NULL, 
	is_working BOOLEAN DEFAULT true NOT NULL, 
	note VARCHAR(120), 
	CONSTRAINT pk_calendar_day PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_calendar_day_community_id_day_on UNIQUE (community_id, day_on), 
	CONSTRAINT fk_calendar_day_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE repairs.clean_up (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	run_on DATE NOT NULL, 
	closed INTEGER NOT NULL, 
	stale INTEGER NOT NULL, 
	numbers JSONB DEFAULT '[]'::jsonb NOT NULL, 
	is_dry BOOLEAN DEFAULT false NOT NULL, 
	CONSTRAINT pk_clean_up PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_clean_up_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE repairs.duty_contact (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	user_id UUID NOT NULL, 
	level INTEGER NOT NULL, 
	CONSTRAINT pk_duty_contact PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_duty_contact_community_id_user_id UNIQUE (community_id, user_id), 
	CONSTRAINT ck_duty_contact_level CHECK (level between 1 and 3), 
	CONSTRAINT fk_duty_contact_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE repairs.warranty_term (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	part VARCHAR(120) NOT NULL, 
	category VARCHAR(40) NOT NULL, 
	months INTEGER NOT NULL, 
	CONSTRAINT pk_warranty_term PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_warranty_term_community_id_part UNIQUE (community_id, part), 
	CONSTRAINT ck_warranty_term_months CHECK (months between 1 and 600), 
	CONSTRAINT fk_warranty_term_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_warranty_term_category CHECK (category IN ('plumbing', 'electrical', 'doors_windows', 'elevator', 'fire_safety', 'access_parking', 'public_area', 'other'))
);

CREATE TABLE repairs.building_position (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	building_id UUID NOT NULL, 
	east_m INTEGER NOT NULL, 
	south_m INTEGER NOT NULL, 
	CONSTRAINT pk_building_position PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_building_position_community_id_building_id UNIQUE (community_id, building_id), 
	CONSTRAINT fk_building_position_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_building_position_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE repairs.report_point (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	building_id UUID, 
	category VARCHAR(40) NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_report_point PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_report_point_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT fk_report_point_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_report_point_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_report_point_category CHECK (category IN ('plumbing', 'electrical', 'doors_windows', 'elevator', 'fire_safety', 'access_parking', 'public_area', 'other'))
);

CREATE INDEX ix_report_point_building_id ON repairs.report_point (community_id, building_id);

CREATE TABLE repairs.technician (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	user_id UUID, 
	is_on_shift BOOLEAN DEFAULT true NOT NULL, 
	capacity INTEGER DEFAULT 4 NOT NULL, 
	last_building_id UUID, 
	had_turn_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_technician PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_technician_capacity CHECK (capacity between 1 and 20), 
	CONSTRAINT fk_technician_last_building_id FOREIGN KEY(community_id, last_building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_technician_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_technician_last_building_id ON repairs.technician (community_id, last_building_id);

CREATE UNIQUE INDEX uq_technician_user_id ON repairs.technician (community_id, user_id) WHERE user_id is not null;

CREATE TABLE repairs.on_call (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	technician_id UUID NOT NULL, 
	from_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	to_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_on_call PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_on_call_span CHECK (to_at > from_at), 
	CONSTRAINT fk_on_call_technician_id FOREIGN KEY(community_id, technician_id) REFERENCES repairs.technician (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_on_call_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_on_call_from_at ON repairs.on_call (community_id, from_at);

CREATE INDEX ix_on_call_technician_id ON repairs.on_call (community_id, technician_id);

CREATE TABLE repairs.synced_operation (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	client_id UUID NOT NULL, 
	technician_id UUID NOT NULL, 
	verb VARCHAR(40) NOT NULL, 
	synced_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	is_done BOOLEAN DEFAULT true NOT NULL, 
	problem VARCHAR(300), 
	CONSTRAINT pk_synced_operation PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_synced_operation_community_id_client_id UNIQUE (community_id, client_id), 
	CONSTRAINT fk_synced_operation_technician_id FOREIGN KEY(community_id, technician_id) REFERENCES repairs.technician (community_id, id), 
	CONSTRAINT fk_synced_operation_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_synced_operation_technician_id ON repairs.synced_operation (community_id, technician_id);

CREATE TABLE repairs.technician_skill (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	technician_id UUID NOT NULL, 
	category VARCHAR(40) NOT NULL, 
	level INTEGER DEFAULT 2 NOT NULL, 
	CONSTRAINT pk_technician_skill PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_technician_skill_community_id_technician_id_category UNIQUE (community_id, technician_id, category), 
	CONSTRAINT ck_technician_skill_level CHECK (level between 1 and 3), 
	CONSTRAINT fk_technician_skill_technician_id FOREIGN KEY(community_id, technician_id) REFERENCES repairs.technician (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_technician_skill_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_technician_skill_category CHECK (category IN ('plumbing', 'electrical', 'doors_windows', 'elevator', 'fire_safety', 'access_parking', 'public_area', 'other'))
);

CREATE TABLE repairs.van_stock (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	technician_id UUID NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	quantity NUMERIC(10, 2) NOT NULL, 
	least NUMERIC(10, 2) NOT NULL, 
	unit_price BIGINT NOT NULL, 
	CONSTRAINT pk_van_stock PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_van_stock_community_id_technician_id_name UNIQUE (community_id, technician_id, name), 
	CONSTRAINT ck_van_stock_quantity CHECK (quantity >= 0 and least >= 0), 
	CONSTRAINT fk_van_stock_technician_id FOREIGN KEY(community_id, technician_id) REFERENCES repairs.technician (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_van_stock_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE repairs.delivery (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	building_id UUID NOT NULL, 
	room_id UUID, 
	delivered_on DATE NOT NULL, 
	CONSTRAINT pk_delivery PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_delivery_community_id_building_id_room_id UNIQUE NULLS NOT DISTINCT (community_id, building_id, room_id), 
	CONSTRAINT fk_delivery_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_delivery_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_delivery_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_delivery_room_id ON repairs.delivery (community_id, room_id);

CREATE TABLE repairs.work_order (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	number INTEGER NOT NULL, 
	text VARCHAR(2000) NOT NULL, 
	category VARCHAR(40) NOT NULL, 
	urgency VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	source VARCHAR(40) NOT NULL, 
	room_id UUID, 
	building_id UUID, 
	place VARCHAR(120), 
	person_id UUID, 
	visit_wanted VARCHAR(80), 
	visit_from_at TIMESTAMP WITH TIME ZONE, 
	visit_to_at TIMESTAMP WITH TIME ZONE, 
	technician_id UUID, 
	contractor VARCHAR(120), 
	pause_reason VARCHAR(40), 
	reported_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	dispatched_at TIMESTAMP WITH TIME ZONE, 
	respond_due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	respond_warn_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	responded_at TIMESTAMP WITH TIME ZONE, 
	resolve_due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	resolve_warn_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	paused_at TIMESTAMP WITH TIME ZONE, 
	resolve_left_s INTEGER, 
	warn_left_s INTEGER, 
	alarm_level INTEGER DEFAULT 0 NOT NULL, 
	done_at TIMESTAMP WITH TIME ZONE, 
	closed_at TIMESTAMP WITH TIME ZONE, 
	solution VARCHAR(1000), 
	times_urged INTEGER DEFAULT 0 NOT NULL, 
	urged_at TIMESTAMP WITH TIME ZONE, 
	help_wanted_at TIMESTAMP WITH TIME ZONE, 
	times_reopened INTEGER DEFAULT 0 NOT NULL, 
	rating INTEGER, 
	rating_speed INTEGER, 
	rating_manner INTEGER, 
	rating_quality INTEGER, 
	rating_note VARCHAR(500), 
	triage_confidence INTEGER, 
	triage_reason VARCHAR(300), 
	dispatch_reason VARCHAR(300), 
	client_id UUID, 
	bill_id UUID, 
	contact_phone BYTEA, 
	contact_phone_index BYTEA, 
	contact_phone_tail BYTEA, 
	CONSTRAINT pk_work_order PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_work_order_community_id_number UNIQUE (community_id, number), 
	CONSTRAINT uq_work_order_community_id_client_id UNIQUE (community_id, client_id), 
	CONSTRAINT ck_work_order_rating CHECK (rating between 1 and 5), 
	CONSTRAINT ck_work_order_rating_speed CHECK (rating_speed between 1 and 5), 
	CONSTRAINT ck_work_order_rating_manner CHECK (rating_manner between 1 and 5), 
	CONSTRAINT ck_work_order_rating_quality CHECK (rating_quality between 1 and 5), 
	CONSTRAINT fk_work_order_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_work_order_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_work_order_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_work_order_technician_id FOREIGN KEY(community_id, technician_id) REFERENCES repairs.technician (community_id, id), 
	CONSTRAINT fk_work_order_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_work_order_category CHECK (category IN ('plumbing', 'electrical', 'doors_windows', 'elevator', 'fire_safety', 'access_parking', 'public_area', 'other')), 
	CONSTRAINT ck_work_order_urgency CHECK (urgency IN ('emergency', 'urgent', 'normal', 'low')), 
	CONSTRAINT ck_work_order_order_state CHECK (state IN ('reported', 'dispatched', 'accepted', 'in_progress', 'paused', 'contracted', 'done', 'closed', 'returned', 'cancelled')), 
	CONSTRAINT ck_work_order_source CHECK (source IN ('portal', 'desk', 'phone', 'qr', 'api')), 
	CONSTRAINT ck_work_order_pause_reason CHECK (pause_reason IN ('no_parts', 'no_access', 'owners_wish'))
);

CREATE INDEX ix_work_order_building_id ON repairs.work_order (community_id, building_id);

CREATE INDEX ix_work_order_contact_phone_index ON repairs.work_order (community_id, contact_phone_index);

CREATE INDEX ix_work_order_contact_phone_tail ON repairs.work_order (community_id, contact_phone_tail);

CREATE INDEX ix_work_order_person_id ON repairs.work_order (community_id, person_id);

CREATE INDEX ix_work_order_reported_at ON repairs.work_order (community_id, reported_at);

CREATE INDEX ix_work_order_room_id ON repairs.work_order (community_id, room_id);

CREATE INDEX ix_work_order_state ON repairs.work_order (community_id, state);

CREATE INDEX ix_work_order_technician_id ON repairs.work_order (community_id, technician_id);

CREATE TABLE repairs.quotation (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	work_order_id UUID NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	total BIGINT NOT NULL, 
	offered_at TIMESTAMP WITH TIME ZONE, 
	decided_at TIMESTAMP WITH TIME ZONE, 
	outside_warranty VARCHAR(300), 
	CONSTRAINT pk_quotation PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_quotation_work_order_id FOREIGN KEY(community_id, work_order_id) REFERENCES repairs.work_order (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_quotation_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_quotation_quotation_state CHECK (state IN ('draft', 'offered', 'accepted', 'declined'))
);

CREATE INDEX ix_quotation_state ON repairs.quotation (community_id, state);

CREATE INDEX ix_quotation_work_order_id ON repairs.quotation (community_id, work_order_id);

CREATE TABLE repairs.triage_correction (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	work_order_id UUID NOT NULL, 
	category VARCHAR(40) NOT NULL, 
	urgency VARCHAR(40) NOT NULL, 
	corrected_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_triage_correction PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_triage_correction_community_id_work_order_id UNIQUE (community_id, work_order_id), 
	CONSTRAINT fk_triage_correction_work_order_id FOREIGN KEY(community_id, work_order_id) REFERENCES repairs.work_order (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_triage_correction_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_triage_correction_category CHECK (category IN ('plumbing', 'electrical', 'doors_windows', 'elevator', 'fire_safety', 'access_parking', 'public_area', 'other')), 
	CONSTRAINT ck_triage_correction_urgency CHECK (urgency IN ('emergency', 'urgent', 'normal', 'low'))
);

CREATE TABLE repairs.work_order_helper (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	work_order_id UUID NOT NULL, 
	technician_id UUID NOT NULL, 
	CONSTRAINT pk_work_order_helper PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_work_order_helper_community_id_work_order_id_technician_id UNIQUE (community_id, work_order_id, technician_id), 
	CONSTRAINT fk_work_order_helper_work_order_id FOREIGN KEY(community_id, work_order_id) REFERENCES repairs.work_order (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_work_order_helper_technician_id FOREIGN KEY(community_id, technician_id) REFERENCES repairs.technician (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_work_order_helper_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_work_order_helper_technician_id ON repairs.work_order_helper (community_id, technician_id);

CREATE TABLE repairs.work_order_part (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	work_order_id UUID NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	quantity NUMERIC(10, 2) NOT NULL, 
	unit_price BIGINT NOT NULL, 
	kind VARCHAR(40) DEFAULT 'part' NOT NULL, 
	is_charged BOOLEAN DEFAULT false NOT NULL, 
	CONSTRAINT pk_work_order_part PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_work_order_part_quantity CHECK (quantity > 0), 
	CONSTRAINT fk_work_order_part_work_order_id FOREIGN KEY(community_id, work_order_id) REFERENCES repairs.work_order (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_work_order_part_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_work_order_part_part_kind CHECK (kind IN ('part', 'labour'))
);

CREATE INDEX ix_work_order_part_work_order_id ON repairs.work_order_part (community_id, work_order_id);

CREATE TABLE repairs.work_order_step (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	work_order_id UUID NOT NULL, 
	verb VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	taken_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	author VARCHAR(120) NOT NULL, 
	note VARCHAR(1000), 
	is_public BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_work_order_step PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_work_order_step_work_order_id FOREIGN KEY(community_id, work_order_id) REFERENCES repairs.work_order (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_work_order_step_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_work_order_step_order_state CHECK (state IN ('reported', 'dispatched', 'accepted', 'in_progress', 'paused', 'contracted', 'done', 'closed', 'returned', 'cancelled'))
);

CREATE INDEX ix_work_order_step_work_order_id ON repairs.work_order_step (community_id, work_order_id);

CREATE TABLE repairs.quotation_line (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	quotation_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	quantity NUMERIC(10, 2) NOT NULL, 
	unit_price BIGINT NOT NULL, 
	CONSTRAINT pk_quotation_line PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_quotation_line_quantity CHECK (quantity > 0), 
	CONSTRAINT fk_quotation_line_quotation_id FOREIGN KEY(community_id, quotation_id) REFERENCES repairs.quotation (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_quotation_line_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_quotation_line_part_kind CHECK (kind IN ('part', 'labour'))
);

CREATE INDEX ix_quotation_line_quotation_id ON repairs.quotation_line (community_id, quotation_id);

