CREATE TABLE equipment.checklist (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	CONSTRAINT pk_checklist PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_checklist_community_id_name UNIQUE (community_id, name), 
	CONSTRAINT fk_checklist_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE equipment.contractor (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	credit_code VARCHAR(18), 
	contact VARCHAR(80), 
	contract_no VARCHAR(60), 
	starts_on DATE, 
	ends_on DATE, 
	licence VARCHAR(80), 
	licensed_until_on DATE, 
	note VARCHAR(200), 
	phone BYTEA, 
	phone_index BYTEA, 
	phone_tail BYTEA, 
	CONSTRAINT pk_contractor PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_contractor_community_id_name UNIQUE (community_id, name), 
	CONSTRAINT ck_contractor_contract CHECK (starts_on <= ends_on), 
	CONSTRAINT fk_contractor_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_contractor_phone_index ON equipment.contractor (community_id, phone_index);

CREATE INDEX ix_contractor_phone_tail ON equipment.contractor (community_id, phone_tail);

CREATE TABLE equipment.equipment_kind (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	statute VARCHAR(40), 
	needs_registration BOOLEAN DEFAULT false NOT NULL, 
	life_years INTEGER DEFAULT 15 NOT NULL, 
	CONSTRAINT pk_equipment_kind PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_equipment_kind_community_id_name UNIQUE (community_id, name), 
	CONSTRAINT ck_equipment_kind_life_years CHECK (life_years between 1 and 100), 
	CONSTRAINT fk_equipment_kind_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_equipment_kind_statute CHECK (statute IN ('lift', 'fire', 'pressure_vessel', 'backflow', 'lightning'))
);

CREATE TABLE equipment.inspection_route (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	trade VARCHAR(40) NOT NULL, 
	CONSTRAINT pk_inspection_route PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_inspection_route_community_id_name UNIQUE (community_id, name), 
	CONSTRAINT fk_inspection_route_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_inspection_route_trade CHECK (trade IN ('equipment', 'security', 'cleaning'))
);

CREATE TABLE equipment.shift (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	trade VARCHAR(40) NOT NULL, 
	post VARCHAR(60) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	begun_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	ended_at TIMESTAMP WITH TIME ZONE, 
	taken_at TIMESTAMP WITH TIME ZONE, 
	held_by VARCHAR(80) NOT NULL, 
	taken_by VARCHAR(80), 
	hand_over VARCHAR(500), 
	open_words VARCHAR(500), 
	objection VARCHAR(500), 
	CONSTRAINT pk_shift PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_shift_ended_at CHECK (ended_at >= begun_at), 
	CONSTRAINT fk_shift_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_shift_trade CHECK (trade IN ('equipment', 'security', 'cleaning')), 
	CONSTRAINT ck_shift_shift_state CHECK (state IN ('on_duty', 'handed_over', 'taken_over'))
);

CREATE UNIQUE INDEX uq_shift_on_duty ON equipment.shift (community_id, trade, post) WHERE state = 'on_duty';

CREATE TABLE equipment.spare_part (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	model VARCHAR(80) DEFAULT '' NOT NULL, 
	uom VARCHAR(20) DEFAULT '件' NOT NULL, 
	shelf VARCHAR(60), 
	stock NUMERIC(14, 3) DEFAULT '0' NOT NULL, 
	minimum NUMERIC(14, 3) DEFAULT '0' NOT NULL, 
	unit_price BIGINT DEFAULT '0' NOT NULL, 
	is_low BOOLEAN DEFAULT false NOT NULL, 
	CONSTRAINT pk_spare_part PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_spare_part_community_id_name_model UNIQUE (community_id, name, model), 
	CONSTRAINT ck_spare_part_stock CHECK (stock >= 0), 
	CONSTRAINT ck_spare_part_minimum CHECK (minimum >= 0), 
	CONSTRAINT fk_spare_part_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE equipment.synced_work (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	client_id UUID NOT NULL, 
	worker VARCHAR(80) NOT NULL, 
	verb VARCHAR(40) NOT NULL, 
	synced_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	is_done BOOLEAN DEFAULT true NOT NULL, 
	problem VARCHAR(300), 
	CONSTRAINT pk_synced_work PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_synced_work_community_id_client_id UNIQUE (community_id, client_id), 
	CONSTRAINT fk_synced_work_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE equipment.watcher (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	user_id UUID NOT NULL, 
	level INTEGER DEFAULT 1 NOT NULL, 
	CONSTRAINT pk_watcher PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_watcher_community_id_user_id UNIQUE (community_id, user_id), 
	CONSTRAINT ck_watcher_level CHECK (level between 1 and 4), 
	CONSTRAINT fk_watcher_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE equipment.checklist_item (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	checklist_id UUID NOT NULL, 
	position INTEGER DEFAULT 1 NOT NULL, 
	title VARCHAR(120) NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	lowest NUMERIC(16, 4), 
	highest NUMERIC(16, 4), 
	uom VARCHAR(20) DEFAULT '' NOT NULL, 
	is_required BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_checklist_item PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_checklist_item_community_id_checklist_id_position UNIQUE (community_id, checklist_id, position), 
	CONSTRAINT ck_checklist_item_limits CHECK (lowest <= highest), 
	CONSTRAINT fk_checklist_item_checklist_id FOREIGN KEY(community_id, checklist_id) REFERENCES equipment.checklist (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_checklist_item_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_checklist_item_item_kind CHECK (kind IN ('check', 'number', 'text', 'photo'))
);

CREATE TABLE equipment.contractor_warning (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	contractor_id UUID NOT NULL, 
	what VARCHAR(10) NOT NULL, 
	until_on DATE NOT NULL, 
	level INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_contractor_warning PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_contractor_warning_community_id_contractor_id_what_until_on UNIQUE (community_id, contractor_id, what, until_on), 
	CONSTRAINT ck_contractor_warning_what CHECK (what in ('contract', 'licence')), 
	CONSTRAINT fk_contractor_warning_contractor_id FOREIGN KEY(community_id, contractor_id) REFERENCES equipment.contractor (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_contractor_warning_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE equipment.inspection_plan (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	route_id UUID NOT NULL, 
	rule VARCHAR(200) NOT NULL, 
	starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	window_minutes INTEGER DEFAULT 120 NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	planned_until_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_inspection_plan PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_inspection_plan_window CHECK (window_minutes between 5 and 20160), 
	CONSTRAINT fk_inspection_plan_route_id FOREIGN KEY(community_id, route_id) REFERENCES equipment.inspection_route (community_id, id), 
	CONSTRAINT fk_inspection_plan_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_inspection_plan_route_id ON equipment.inspection_plan (community_id, route_id);

CREATE TABLE equipment.shift_note (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	shift_id UUID NOT NULL, 
	noted_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	noted_by VARCHAR(80) NOT NULL, 
	text VARCHAR(500) NOT NULL, 
	CONSTRAINT pk_shift_note PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_shift_note_shift_id FOREIGN KEY(community_id, shift_id) REFERENCES equipment.shift (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_shift_note_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_shift_note_shift_id ON equipment.shift_note (community_id, shift_id);

CREATE TABLE equipment.inspection_round (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	plan_id UUID NOT NULL, 
	route_id UUID NOT NULL, 
	starts_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	closes_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	done_at TIMESTAMP WITH TIME ZONE, 
	points INTEGER DEFAULT 0 NOT NULL, 
	visited INTEGER DEFAULT 0 NOT NULL, 
	makes_up_id UUID, 
	CONSTRAINT pk_inspection_round PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_inspection_round_community_id_plan_id_starts_at UNIQUE (community_id, plan_id, starts_at), 
	CONSTRAINT fk_inspection_round_plan_id FOREIGN KEY(community_id, plan_id) REFERENCES equipment.inspection_plan (community_id, id), 
	CONSTRAINT fk_inspection_round_route_id FOREIGN KEY(community_id, route_id) REFERENCES equipment.inspection_route (community_id, id), 
	CONSTRAINT fk_inspection_round_makes_up_id FOREIGN KEY(community_id, makes_up_id) REFERENCES equipment.inspection_round (community_id, id), 
	CONSTRAINT fk_inspection_round_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_inspection_round_task_state CHECK (state IN ('planned', 'open', 'started', 'done', 'missed', 'cancelled'))
);

CREATE INDEX ix_inspection_round_makes_up_id ON equipment.inspection_round (community_id, makes_up_id);

CREATE INDEX ix_inspection_round_route_id ON equipment.inspection_round (community_id, route_id);

CREATE INDEX ix_inspection_round_state ON equipment.inspection_round (community_id, state, closes_at);

CREATE TABLE equipment.equipment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	number VARCHAR(9) NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	level VARCHAR(40) NOT NULL, 
	parent_id UUID, 
	kind_id UUID NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	building_id UUID, 
	floor INTEGER, 
	room_id UUID, 
	place VARCHAR(120), 
	maker VARCHAR(80), 
	model VARCHAR(80), 
	serial VARCHAR(80), 
	registration VARCHAR(40), 
	supplier VARCHAR(120), 
	contractor_id UUID, 
	post VARCHAR(60), 
	purchased_on DATE, 
	commissioned_on DATE, 
	warranty_until_on DATE, 
	warranty_warned VARCHAR(12), 
	retired_on DATE, 
	price BIGINT, 
	life_years INTEGER, 
	run_hours NUMERIC(12, 2), 
	device_id UUID, 
	locked_by VARCHAR(80), 
	locked_why VARCHAR(200), 
	CONSTRAINT pk_equipment PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_equipment_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT uq_equipment_community_id_number UNIQUE (community_id, number), 
	CONSTRAINT ck_equipment_parent CHECK (parent_id <> id), 
	CONSTRAINT ck_equipment_run_hours CHECK (run_hours >= 0), 
	CONSTRAINT ck_equipment_life_years CHECK (life_years between 1 and 100), 
	CONSTRAINT fk_equipment_parent_id FOREIGN KEY(community_id, parent_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_equipment_kind_id FOREIGN KEY(community_id, kind_id) REFERENCES equipment.equipment_kind (community_id, id), 
	CONSTRAINT fk_equipment_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_equipment_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_equipment_contractor_id FOREIGN KEY(community_id, contractor_id) REFERENCES equipment.contractor (community_id, id), 
	CONSTRAINT fk_equipment_device_id FOREIGN KEY(community_id, device_id) REFERENCES dougong.device (community_id, id), 
	CONSTRAINT fk_equipment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_equipment_level CHECK (level IN ('system', 'equipment', 'component')), 
	CONSTRAINT ck_equipment_equipment_state CHECK (state IN ('planned', 'in_use', 'standby', 'faulty', 'stopped', 'retired'))
);

CREATE INDEX ix_equipment_building_id ON equipment.equipment (community_id, building_id);

CREATE INDEX ix_equipment_contractor_id ON equipment.equipment (community_id, contractor_id);

CREATE INDEX ix_equipment_device_id ON equipment.equipment (community_id, device_id);

CREATE INDEX ix_equipment_kind_id ON equipment.equipment (community_id, kind_id);

CREATE INDEX ix_equipment_name ON equipment.equipment (community_id, name);

CREATE INDEX ix_equipment_parent_id ON equipment.equipment (community_id, parent_id);

CREATE INDEX ix_equipment_room_id ON equipment.equipment (community_id, room_id);

CREATE INDEX ix_equipment_state ON equipment.equipment (community_id, state);

CREATE TABLE equipment.alarm_rule (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	equipment_id UUID NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	point VARCHAR(60) NOT NULL, 
	comparison VARCHAR(40) NOT NULL, 
	threshold NUMERIC(16, 4), 
	dead_band NUMERIC(16, 4) DEFAULT '0' NOT NULL, 
	delay_s INTEGER DEFAULT 0 NOT NULL, 
	urgency VARCHAR(40) NOT NULL, 
	is_breakdown BOOLEAN DEFAULT false NOT NULL, 
	makes_order BOOLEAN DEFAULT true NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_alarm_rule PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_alarm_rule_dead_band CHECK (dead_band >= 0 and delay_s between 0 and 86400), 
	CONSTRAINT ck_alarm_rule_threshold CHECK (threshold is not null or comparison like 'is_%'), 
	CONSTRAINT fk_alarm_rule_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_alarm_rule_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_alarm_rule_comparison CHECK (comparison IN ('above', 'below', 'is_on', 'is_off')), 
	CONSTRAINT ck_alarm_rule_urgency CHECK (urgency IN ('emergency', 'urgent', 'normal', 'low'))
);

CREATE INDEX ix_alarm_rule_equipment_id ON equipment.alarm_rule (community_id, equipment_id);

CREATE TABLE equipment.condition (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	equipment_id UUID NOT NULL, 
	command VARCHAR(60) NOT NULL, 
	watched_id UUID NOT NULL, 
	point VARCHAR(60) NOT NULL, 
	comparison VARCHAR(40) NOT NULL, 
	threshold NUMERIC(16, 4), 
	fresh_s INTEGER DEFAULT 300 NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_condition PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_condition_threshold CHECK (threshold is not null or comparison like 'is_%'), 
	CONSTRAINT ck_condition_fresh_s CHECK (fresh_s between 5 and 86400), 
	CONSTRAINT fk_condition_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_condition_watched_id FOREIGN KEY(community_id, watched_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_condition_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_condition_comparison CHECK (comparison IN ('above', 'below', 'is_on', 'is_off'))
);

CREATE INDEX ix_condition_equipment_id ON equipment.condition (community_id, equipment_id);

CREATE INDEX ix_condition_watched_id ON equipment.condition (community_id, watched_id);

CREATE TABLE equipment.control_schedule (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	equipment_id UUID NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	command VARCHAR(60) NOT NULL, 
	value VARCHAR(20) DEFAULT '' NOT NULL, 
	rule VARCHAR(200) NOT NULL, 
	moment VARCHAR(40) NOT NULL, 
	at TIME WITHOUT TIME ZONE, 
	offset_minutes INTEGER DEFAULT 0 NOT NULL, 
	late_minutes INTEGER DEFAULT 10 NOT NULL, 
	policy VARCHAR(200), 
	starts_on DATE NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	looked_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_control_schedule PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_control_schedule_late_minutes CHECK (late_minutes between 1 and 120), 
	CONSTRAINT ck_control_schedule_offset_minutes CHECK (offset_minutes between -180 and 180), 
	CONSTRAINT ck_control_schedule_at CHECK (at is not null or moment <> 'clock'), 
	CONSTRAINT fk_control_schedule_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_control_schedule_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_control_schedule_moment CHECK (moment IN ('clock', 'sunset', 'sunrise'))
);

CREATE INDEX ix_control_schedule_equipment_id ON equipment.control_schedule (community_id, equipment_id);

CREATE TABLE equipment.equipment_cost (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	equipment_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	amount BIGINT NOT NULL, 
	spent_on DATE NOT NULL, 
	note VARCHAR(200), 
	key VARCHAR(80), 
	CONSTRAINT pk_equipment_cost PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_equipment_cost_amount CHECK (amount >= 0), 
	CONSTRAINT fk_equipment_cost_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_equipment_cost_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_equipment_cost_cost_kind CHECK (kind IN ('purchase', 'maintenance', 'repair', 'parts', 'inspection', 'disposal'))
);

CREATE INDEX ix_equipment_cost_equipment_id ON equipment.equipment_cost (community_id, equipment_id);

CREATE UNIQUE INDEX uq_equipment_cost_key ON equipment.equipment_cost (community_id, key) WHERE key is not null;

CREATE TABLE equipment.fault (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	equipment_id UUID, 
	building_id UUID, 
	place VARCHAR(120), 
	text VARCHAR(500) NOT NULL, 
	urgency VARCHAR(40) NOT NULL, 
	source VARCHAR(40) NOT NULL, 
	is_breakdown BOOLEAN DEFAULT false NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	raised_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	due_on DATE, 
	fixed_at TIMESTAMP WITH TIME ZONE, 
	checked_at TIMESTAMP WITH TIME ZONE, 
	score INTEGER, 
	note VARCHAR(500), 
	key VARCHAR(80) NOT NULL, 
	work_order_id UUID, 
	work_order VARCHAR(20), 
	CONSTRAINT pk_fault PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_fault_community_id_key UNIQUE (community_id, key), 
	CONSTRAINT ck_fault_score CHECK (score between 1 and 5), 
	CONSTRAINT fk_fault_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_fault_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_fault_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_fault_urgency CHECK (urgency IN ('emergency', 'urgent', 'normal', 'low')), 
	CONSTRAINT ck_fault_fault_source CHECK (source IN ('scan', 'staff', 'task', 'round', 'alarm')), 
	CONSTRAINT ck_fault_fault_state CHECK (state IN ('open', 'fixed', 'checked'))
);

CREATE INDEX ix_fault_building_id ON equipment.fault (community_id, building_id);

CREATE INDEX ix_fault_equipment_id ON equipment.fault (community_id, equipment_id);

CREATE INDEX ix_fault_state ON equipment.fault (community_id, state);

CREATE INDEX ix_fault_work_order_id ON equipment.fault (community_id, work_order_id);

CREATE TABLE equipment.inspection_point (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	building_id UUID, 
	floor INTEGER, 
	equipment_id UUID, 
	checklist_id UUID, 
	code VARCHAR(40) NOT NULL, 
	tag VARCHAR(40), 
	stay_s INTEGER DEFAULT 0 NOT NULL, 
	photo_percent INTEGER DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_inspection_point PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_inspection_point_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT ck_inspection_point_stay_s CHECK (stay_s between 0 and 3600), 
	CONSTRAINT ck_inspection_point_photo_percent CHECK (photo_percent between 0 and 100), 
	CONSTRAINT fk_inspection_point_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_inspection_point_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_inspection_point_checklist_id FOREIGN KEY(community_id, checklist_id) REFERENCES equipment.checklist (community_id, id), 
	CONSTRAINT fk_inspection_point_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_inspection_point_building_id ON equipment.inspection_point (community_id, building_id);

CREATE INDEX ix_inspection_point_checklist_id ON equipment.inspection_point (community_id, checklist_id);

CREATE INDEX ix_inspection_point_equipment_id ON equipment.inspection_point (community_id, equipment_id);

CREATE TABLE equipment.maintenance_plan (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	equipment_id UUID NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	statute VARCHAR(40), 
	source VARCHAR(200), 
	rule VARCHAR(200), 
	starts_on DATE NOT NULL, 
	lead_days INTEGER DEFAULT 3 NOT NULL, 
	horizon_days INTEGER DEFAULT 60 NOT NULL, 
	grace_days INTEGER DEFAULT 0 NOT NULL, 
	catch_up VARCHAR(40) NOT NULL, 
	counter_point VARCHAR(60), 
	counter_every NUMERIC(12, 2), 
	counter_seen NUMERIC(14, 2), 
	checklist_id UUID, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	planned_until_on DATE, 
	planned_by VARCHAR(300), 
	CONSTRAINT pk_maintenance_plan PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_maintenance_plan_days CHECK (lead_days between 0 and 365 and horizon_days between 0 and 800 and grace_days between 0 and 365), 
	CONSTRAINT ck_maintenance_plan_counter_every CHECK (counter_every > 0), 
	CONSTRAINT ck_maintenance_plan_has_trigger CHECK (num_nonnulls(rule, counter_every) > 0), 
	CONSTRAINT fk_maintenance_plan_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_maintenance_plan_checklist_id FOREIGN KEY(community_id, checklist_id) REFERENCES equipment.checklist (community_id, id), 
	CONSTRAINT fk_maintenance_plan_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_maintenance_plan_statute CHECK (statute IN ('lift', 'fire', 'pressure_vessel', 'backflow', 'lightning')), 
	CONSTRAINT ck_maintenance_plan_catch_up CHECK (catch_up IN ('all', 'latest', 'skip'))
);

CREATE INDEX ix_maintenance_plan_checklist_id ON equipment.maintenance_plan (community_id, checklist_id);

CREATE INDEX ix_maintenance_plan_equipment_id ON equipment.maintenance_plan (community_id, equipment_id);

CREATE TABLE equipment.stock_move (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	part_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	quantity NUMERIC(14, 3) NOT NULL, 
	balance NUMERIC(14, 3) NOT NULL, 
	equipment_id UUID, 
	moved_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	moved_by VARCHAR(80) NOT NULL, 
	note VARCHAR(200), 
	client_id UUID, 
	CONSTRAINT pk_stock_move PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_stock_move_community_id_client_id UNIQUE (community_id, client_id), 
	CONSTRAINT ck_stock_move_quantity CHECK (quantity <> 0), 
	CONSTRAINT ck_stock_move_balance CHECK (balance >= 0), 
	CONSTRAINT fk_stock_move_part_id FOREIGN KEY(community_id, part_id) REFERENCES equipment.spare_part (community_id, id), 
	CONSTRAINT fk_stock_move_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_stock_move_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_stock_move_move_kind CHECK (kind IN ('receipt', 'use', 'given_back', 'count'))
);

CREATE INDEX ix_stock_move_equipment_id ON equipment.stock_move (community_id, equipment_id);

CREATE INDEX ix_stock_move_part_id ON equipment.stock_move (community_id, part_id);

CREATE TABLE equipment.alarm (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	rule_id UUID NOT NULL, 
	equipment_id UUID NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	since_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	raised_at TIMESTAMP WITH TIME ZONE, 
	over_at TIMESTAMP WITH TIME ZONE, 
	value VARCHAR(60) NOT NULL, 
	CONSTRAINT pk_alarm PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_alarm_rule_id FOREIGN KEY(community_id, rule_id) REFERENCES equipment.alarm_rule (community_id, id), 
	CONSTRAINT fk_alarm_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_alarm_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_alarm_alarm_state CHECK (state IN ('pending', 'raised', 'over'))
);

CREATE INDEX ix_alarm_equipment_id ON equipment.alarm (community_id, equipment_id);

CREATE INDEX ix_alarm_rule_id ON equipment.alarm (community_id, rule_id);

CREATE INDEX ix_alarm_state ON equipment.alarm (community_id, state);

CREATE UNIQUE INDEX uq_alarm_standing ON equipment.alarm (community_id, rule_id) WHERE state <> 'over';

CREATE TABLE equipment.control_run (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	schedule_id UUID NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	command_id UUID, 
	detail VARCHAR(200) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_control_run PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_control_run_community_id_schedule_id_due_at UNIQUE (community_id, schedule_id, due_at), 
	CONSTRAINT fk_control_run_schedule_id FOREIGN KEY(community_id, schedule_id) REFERENCES equipment.control_schedule (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_control_run_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_control_run_run_state CHECK (state IN ('ordered', 'refused', 'too_late'))
);

CREATE TABLE equipment.maintenance_task (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	equipment_id UUID NOT NULL, 
	plan_id UUID, 
	checklist_id UUID, 
	name VARCHAR(80) NOT NULL, 
	statute VARCHAR(40), 
	due_on DATE NOT NULL, 
	opens_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	warned INTEGER DEFAULT 0 NOT NULL, 
	started_at TIMESTAMP WITH TIME ZONE, 
	done_at TIMESTAMP WITH TIME ZONE, 
	done_by VARCHAR(80), 
	report VARCHAR(60), 
	is_fine BOOLEAN, 
	note VARCHAR(500), 
	key VARCHAR(90) NOT NULL, 
	CONSTRAINT pk_maintenance_task PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_maintenance_task_community_id_key UNIQUE (community_id, key), 
	CONSTRAINT fk_maintenance_task_equipment_id FOREIGN KEY(community_id, equipment_id) REFERENCES equipment.equipment (community_id, id), 
	CONSTRAINT fk_maintenance_task_plan_id FOREIGN KEY(community_id, plan_id) REFERENCES equipment.maintenance_plan (community_id, id), 
	CONSTRAINT fk_maintenance_task_checklist_id FOREIGN KEY(community_id, checklist_id) REFERENCES equipment.checklist (community_id, id), 
	CONSTRAINT fk_maintenance_task_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_maintenance_task_statute CHECK (statute IN ('lift', 'fire', 'pressure_vessel', 'backflow', 'lightning')), 
	CONSTRAINT ck_maintenance_task_task_state CHECK (state IN ('planned', 'open', 'started', 'done', 'missed', 'cancelled'))
);

CREATE INDEX ix_maintenance_task_checklist_id ON equipment.maintenance_task (community_id, checklist_id);

CREATE INDEX ix_maintenance_task_equipment_id ON equipment.maintenance_task (community_id, equipment_id);

CREATE INDEX ix_maintenance_task_plan_id ON equipment.maintenance_task (community_id, plan_id);

CREATE INDEX ix_maintenance_task_state ON equipment.maintenance_task (community_id, state, due_on);

CREATE TABLE equipment.point_visit (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	round_id UUID NOT NULL, 
	point_id UUID NOT NULL, 
	arrived_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	left_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	proof VARCHAR(40) NOT NULL, 
	is_fine BOOLEAN DEFAULT true NOT NULL, 
	visited_by VARCHAR(80) NOT NULL, 
	note VARCHAR(500), 
	checked_at TIMESTAMP WITH TIME ZONE, 
	checked_by VARCHAR(80), 
	score INTEGER, 
	remark VARCHAR(500), 
	CONSTRAINT pk_point_visit PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_point_visit_community_id_round_id_point_id UNIQUE (community_id, round_id, point_id), 
	CONSTRAINT ck_point_visit_score CHECK (score between 1 and 5), 
	CONSTRAINT ck_point_visit_checked CHECK (num_nonnulls(checked_at, checked_by, score) in (0, 3)), 
	CONSTRAINT fk_point_visit_round_id FOREIGN KEY(community_id, round_id) REFERENCES equipment.inspection_round (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_point_visit_point_id FOREIGN KEY(community_id, point_id) REFERENCES equipment.inspection_point (community_id, id), 
	CONSTRAINT fk_point_visit_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_point_visit_proof CHECK (proof IN ('qr', 'nfc', 'none'))
);

CREATE INDEX ix_point_visit_point_id ON equipment.point_visit (community_id, point_id);

CREATE TABLE equipment.route_stop (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	route_id UUID NOT NULL, 
	point_id UUID NOT NULL, 
	position INTEGER DEFAULT 1 NOT NULL, 
	CONSTRAINT pk_route_stop PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_route_stop_community_id_route_id_point_id UNIQUE (community_id, route_id, point_id), 
	CONSTRAINT fk_route_stop_route_id FOREIGN KEY(community_id, route_id) REFERENCES equipment.inspection_route (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_route_stop_point_id FOREIGN KEY(community_id, point_id) REFERENCES equipment.inspection_point (community_id, id), 
	CONSTRAINT fk_route_stop_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_route_stop_point_id ON equipment.route_stop (community_id, point_id);

CREATE TABLE equipment.answer (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	task_id UUID, 
	visit_id UUID, 
	item_id UUID NOT NULL, 
	value VARCHAR(200) NOT NULL, 
	number NUMERIC(16, 4), 
	is_fine BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_answer PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_answer_subject CHECK (num_nonnulls(task_id, visit_id) = 1), 
	CONSTRAINT uq_answer_community_id_task_id_item_id UNIQUE (community_id, task_id, item_id), 
	CONSTRAINT uq_answer_community_id_visit_id_item_id UNIQUE (community_id, visit_id, item_id), 
	CONSTRAINT fk_answer_task_id FOREIGN KEY(community_id, task_id) REFERENCES equipment.maintenance_task (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_answer_visit_id FOREIGN KEY(community_id, visit_id) REFERENCES equipment.point_visit (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_answer_item_id FOREIGN KEY(community_id, item_id) REFERENCES equipment.checklist_item (community_id, id), 
	CONSTRAINT fk_answer_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_answer_item_id ON equipment.answer (community_id, item_id);

