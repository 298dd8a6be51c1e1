CREATE TABLE fees.fee_template (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	code VARCHAR(20) NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	from_on DATE NOT NULL, 
	unit_price NUMERIC(14, 6) NOT NULL, 
	may_differ BOOLEAN DEFAULT false NOT NULL, 
	method VARCHAR(40) NOT NULL, 
	area_kind VARCHAR(40) NOT NULL, 
	commodity VARCHAR(40), 
	period_method VARCHAR(40) NOT NULL, 
	rounding VARCHAR(40) NOT NULL, 
	formula VARCHAR(500), 
	addition BIGINT DEFAULT 0 NOT NULL, 
	tier_span VARCHAR(40) DEFAULT 'year' NOT NULL, 
	head_count_from INTEGER, 
	head_count_extra NUMERIC(18, 6), 
	is_extra_per_person BOOLEAN DEFAULT true NOT NULL, 
	vacancy_factor NUMERIC(7, 6) DEFAULT 1 NOT NULL, 
	grace_days INTEGER DEFAULT 0 NOT NULL, 
	late_fee_cap NUMERIC(7, 4) DEFAULT 1 NOT NULL, 
	late_fee_rate NUMERIC(9, 6), 
	source VARCHAR(200), 
	CONSTRAINT pk_fee_template PRIMARY KEY (group_id, id), 
	CONSTRAINT uq_fee_template_group_id_code_from_on UNIQUE (group_id, code, from_on), 
	CONSTRAINT ck_fee_template_unit_price CHECK (unit_price >= 0), 
	CONSTRAINT ck_fee_template_commodity_of_usage CHECK (method <> 'usage' or commodity is not null), 
	CONSTRAINT ck_fee_template_formula CHECK (method <> 'formula' or formula is not null), 
	CONSTRAINT ck_fee_template_late_fee_cap CHECK (late_fee_cap >= 0 and grace_days >= 0), 
	CONSTRAINT ck_fee_template_vacancy_factor CHECK (vacancy_factor between 0 and 1), 
	CONSTRAINT ck_fee_template_head_count CHECK (head_count_from > 0 and head_count_extra >= 0 and (head_count_from is null) = (head_count_extra is null)), 
	CONSTRAINT ck_fee_template_late_fee_rate CHECK (late_fee_rate >= 0 and late_fee_rate < 0.01), 
	CONSTRAINT fk_fee_template_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id), 
	CONSTRAINT ck_fee_template_charge_method CHECK (method IN ('fixed', 'area', 'usage', 'formula')), 
	CONSTRAINT ck_fee_template_area_kind CHECK (area_kind IN ('built', 'inner')), 
	CONSTRAINT ck_fee_template_commodity CHECK (commodity IN ('water', 'electricity', 'gas', 'heat')), 
	CONSTRAINT ck_fee_template_period_method CHECK (period_method IN ('anchor_month', 'calendar_month', 'days_30', 'days_365', 'whole_months')), 
	CONSTRAINT ck_fee_template_rounding CHECK (rounding IN ('fen', 'jiao', 'yuan')), 
	CONSTRAINT ck_fee_template_tier_span CHECK (tier_span IN ('bill', 'month', 'year'))
);

CREATE TABLE fees.fee_template_rule (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	template_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	share NUMERIC(7, 6), 
	days_before INTEGER, 
	pay_months INTEGER, 
	get_months INTEGER, 
	is_full_price_on_return BOOLEAN DEFAULT false NOT NULL, 
	wait_months INTEGER, 
	most_months INTEGER, 
	basis VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_fee_template_rule PRIMARY KEY (group_id, id), 
	CONSTRAINT ck_fee_template_rule_share CHECK (share > 0 and share <= 1), 
	CONSTRAINT ck_fee_template_rule_prompt CHECK (kind <> 'prompt' or share < 1 and days_before >= 0), 
	CONSTRAINT ck_fee_template_rule_prepaid CHECK (kind <> 'prepaid' or pay_months > 0 and pay_months <= get_months and get_months <= 36), 
	CONSTRAINT ck_fee_template_rule_vacancy CHECK (kind <> 'vacancy' or share > 0 and wait_months >= 0 and most_months > 0), 
	CONSTRAINT ck_fee_template_rule_complete CHECK (case kind when 'prompt' then share is not null and days_before is not null when 'prepaid' then pay_months is not null and get_months is not null else share is not null and wait_months is not null end), 
	CONSTRAINT fk_fee_template_rule_template_id FOREIGN KEY(group_id, template_id) REFERENCES fees.fee_template (group_id, id), 
	CONSTRAINT fk_fee_template_rule_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id), 
	CONSTRAINT ck_fee_template_rule_rule_kind CHECK (kind IN ('prompt', 'prepaid', 'vacancy'))
);

CREATE INDEX ix_fee_template_rule_template_id ON fees.fee_template_rule (group_id, template_id);

CREATE TABLE fees.fee_template_tier (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	template_id UUID NOT NULL, 
	above NUMERIC(18, 6) NOT NULL, 
	up_to NUMERIC(18, 6), 
	unit_price NUMERIC(14, 6) NOT NULL, 
	CONSTRAINT pk_fee_template_tier PRIMARY KEY (group_id, id), 
	CONSTRAINT ck_fee_template_tier_above CHECK (above >= 0 and (up_to is null or up_to > above)), 
	CONSTRAINT ex_fee_template_tier_span EXCLUDE USING gist (group_id WITH =, template_id WITH =, numrange(above, up_to) WITH &&), 
	CONSTRAINT fk_fee_template_tier_template_id FOREIGN KEY(group_id, template_id) REFERENCES fees.fee_template (group_id, id), 
	CONSTRAINT fk_fee_template_tier_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id)
);

CREATE INDEX ix_fee_template_tier_template_id ON fees.fee_template_tier (group_id, template_id);

CREATE TABLE fees.fee_item (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	code VARCHAR(20) NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	method VARCHAR(40) NOT NULL, 
	formula VARCHAR(500), 
	area_kind VARCHAR(40) NOT NULL, 
	commodity VARCHAR(40), 
	period_method VARCHAR(40) NOT NULL, 
	rounding VARCHAR(40) NOT NULL, 
	tier_span VARCHAR(40) NOT NULL, 
	vacancy_factor NUMERIC(7, 6) NOT NULL, 
	account_code VARCHAR(20) NOT NULL, 
	grace_days INTEGER NOT NULL, 
	late_fee_rate NUMERIC(9, 6), 
	late_fee_cap NUMERIC(7, 4) NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_fee_item PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_fee_item_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT ck_fee_item_commodity_of_usage CHECK (method <> 'usage' or commodity is not null), 
	CONSTRAINT ck_fee_item_formula CHECK (method <> 'formula' or formula is not null), 
	CONSTRAINT ck_fee_item_late_fee_rate CHECK (late_fee_rate >= 0 and late_fee_rate < 0.01), 
	CONSTRAINT ck_fee_item_late_fee_cap CHECK (late_fee_cap >= 0 and grace_days >= 0), 
	CONSTRAINT ck_fee_item_vacancy_factor CHECK (vacancy_factor between 0 and 1), 
	CONSTRAINT fk_fee_item_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_fee_item_charge_method CHECK (method IN ('fixed', 'area', 'usage', 'formula')), 
	CONSTRAINT ck_fee_item_area_kind CHECK (area_kind IN ('built', 'inner')), 
	CONSTRAINT ck_fee_item_commodity CHECK (commodity IN ('water', 'electricity', 'gas', 'heat')), 
	CONSTRAINT ck_fee_item_period_method CHECK (period_method IN ('anchor_month', 'calendar_month', 'days_30', 'days_365', 'whole_months')), 
	CONSTRAINT ck_fee_item_rounding CHECK (rounding IN ('fen', 'jiao', 'yuan')), 
	CONSTRAINT ck_fee_item_tier_span CHECK (tier_span IN ('bill', 'month', 'year'))
);

CREATE TABLE fees.apportionment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	fee_item_id UUID NOT NULL, 
	building_id UUID, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	due_on DATE NOT NULL, 
	key VARCHAR(40) NOT NULL, 
	main_quantity NUMERIC(18, 6), 
	deducted_quantity NUMERIC(18, 6), 
	unit_price NUMERIC(14, 6), 
	pool_amount BIGINT NOT NULL, 
	legal_basis VARCHAR(200) NOT NULL, 
	resolution VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	corrects_id UUID, 
	CONSTRAINT pk_apportionment PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_apportionment_period CHECK (to_on > from_on), 
	CONSTRAINT ck_apportionment_pool_amount CHECK (pool_amount >= 0), 
	CONSTRAINT ck_apportionment_quantities CHECK (main_quantity >= deducted_quantity), 
	CONSTRAINT fk_apportionment_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_apportionment_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_apportionment_corrects_id FOREIGN KEY(community_id, corrects_id) REFERENCES fees.apportionment (community_id, id), 
	CONSTRAINT fk_apportionment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_apportionment_share_key CHECK (key IN ('area', 'household', 'persons', 'floor', 'custom')), 
	CONSTRAINT ck_apportionment_apportionment_state CHECK (state IN ('draft', 'published', 'withdrawn'))
);

CREATE INDEX ix_apportionment_building_id ON fees.apportionment (community_id, building_id);

CREATE INDEX ix_apportionment_corrects_id ON fees.apportionment (community_id, corrects_id);

CREATE INDEX ix_apportionment_fee_item_id ON fees.apportionment (community_id, fee_item_id);

CREATE TABLE fees.delivery (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	building_id UUID, 
	from_on DATE NOT NULL, 
	until_on DATE NOT NULL, 
	deemed_on DATE, 
	basis VARCHAR(200), 
	state VARCHAR(40) NOT NULL, 
	CONSTRAINT pk_delivery PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_delivery_days CHECK (until_on >= from_on), 
	CONSTRAINT ck_delivery_deemed_on CHECK (deemed_on > until_on), 
	CONSTRAINT fk_delivery_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_delivery_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_delivery_delivery_state CHECK (state IN ('open', 'closed'))
);

CREATE INDEX ix_delivery_building_id ON fees.delivery (community_id, building_id);

CREATE TABLE fees.fee_price (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	fee_item_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	unit_price NUMERIC(14, 6) NOT NULL, 
	addition BIGINT NOT NULL, 
	head_count_from INTEGER, 
	head_count_extra NUMERIC(18, 6), 
	is_extra_per_person BOOLEAN DEFAULT true NOT NULL, 
	source VARCHAR(200), 
	CONSTRAINT pk_fee_price PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_fee_price_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT ck_fee_price_unit_price CHECK (unit_price >= 0 and addition >= 0), 
	CONSTRAINT ck_fee_price_head_count CHECK (head_count_from > 0 and head_count_extra >= 0 and (head_count_from is null) = (head_count_extra is null)), 
	CONSTRAINT ex_fee_price_period EXCLUDE USING gist (community_id WITH =, fee_item_id WITH =, daterange(from_on, to_on) WITH &&), 
	CONSTRAINT fk_fee_price_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_fee_price_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_fee_price_fee_item_id ON fees.fee_price (community_id, fee_item_id);

CREATE TABLE fees.fee_rule (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	fee_item_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	template_rule_id UUID, 
	kind VARCHAR(40) NOT NULL, 
	share NUMERIC(7, 6), 
	days_before INTEGER, 
	pay_months INTEGER, 
	get_months INTEGER, 
	is_full_price_on_return BOOLEAN DEFAULT false NOT NULL, 
	wait_months INTEGER, 
	most_months INTEGER, 
	basis VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_fee_rule PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_fee_rule_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT ck_fee_rule_share CHECK (share > 0 and share <= 1), 
	CONSTRAINT ck_fee_rule_prompt CHECK (kind <> 'prompt' or share < 1 and days_before >= 0), 
	CONSTRAINT ck_fee_rule_prepaid CHECK (kind <> 'prepaid' or pay_months > 0 and pay_months <= get_months and get_months <= 36), 
	CONSTRAINT ck_fee_rule_vacancy CHECK (kind <> 'vacancy' or share > 0 and wait_months >= 0 and most_months > 0), 
	CONSTRAINT ck_fee_rule_complete CHECK (case kind when 'prompt' then share is not null and days_before is not null when 'prepaid' then pay_months is not null and get_months is not null else share is not null and wait_months is not null end), 
	CONSTRAINT ex_fee_rule_period EXCLUDE USING gist (community_id WITH =, fee_item_id WITH =, kind WITH =, coalesce(pay_months, 0) WITH =, daterange(from_on, to_on) WITH &&), 
	CONSTRAINT fk_fee_rule_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_fee_rule_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_fee_rule_rule_kind CHECK (kind IN ('prompt', 'prepaid', 'vacancy'))
);

CREATE INDEX ix_fee_rule_fee_item_id ON fees.fee_rule (community_id, fee_item_id);

CREATE TABLE fees.price_tier (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	price_id UUID NOT NULL, 
	above NUMERIC(18, 6) NOT NULL, 
	up_to NUMERIC(18, 6), 
	unit_price NUMERIC(14, 6) NOT NULL, 
	CONSTRAINT pk_price_tier PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_price_tier_community_id_price_id_above UNIQUE (community_id, price_id, above), 
	CONSTRAINT ck_price_tier_above CHECK (above >= 0 and (up_to is null or up_to > above)), 
	CONSTRAINT ex_price_tier_span EXCLUDE USING gist (community_id WITH =, price_id WITH =, numrange(above, up_to) WITH &&), 
	CONSTRAINT fk_price_tier_price_id FOREIGN KEY(community_id, price_id) REFERENCES fees.fee_price (community_id, id), 
	CONSTRAINT fk_price_tier_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_price_tier_price_id ON fees.price_tier (community_id, price_id);

CREATE TABLE fees.template_copy (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	template_id UUID NOT NULL, 
	fee_item_id UUID NOT NULL, 
	price_id UUID NOT NULL, 
	made_item BOOLEAN NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_template_copy PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_template_copy_community_id_template_id UNIQUE (community_id, template_id), 
	CONSTRAINT fk_template_copy_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_template_copy_price_id FOREIGN KEY(community_id, price_id) REFERENCES fees.fee_price (community_id, id), 
	CONSTRAINT fk_template_copy_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_template_copy_fee_item_id ON fees.template_copy (community_id, fee_item_id);

CREATE INDEX ix_template_copy_price_id ON fees.template_copy (community_id, price_id);

CREATE TABLE fees.bill_run (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	due_on DATE NOT NULL, 
	fee_item_id UUID, 
	building_id UUID, 
	room_id UUID, 
	state VARCHAR(40) NOT NULL, 
	rooms INTEGER DEFAULT 0 NOT NULL, 
	rooms_done INTEGER DEFAULT 0 NOT NULL, 
	after_room_id UUID, 
	bills INTEGER NOT NULL, 
	lines INTEGER NOT NULL, 
	amount BIGINT NOT NULL, 
	previous_amount BIGINT, 
	problems JSONB NOT NULL, 
	prepared_by UUID, 
	approved_by UUID, 
	published_at TIMESTAMP WITH TIME ZONE, 
	earned_to_on DATE, 
	CONSTRAINT pk_bill_run PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_bill_run_period CHECK (to_on > from_on), 
	CONSTRAINT fk_bill_run_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_bill_run_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_bill_run_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_bill_run_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_bill_run_run_state CHECK (state IN ('reckoning', 'draft', 'approved', 'published', 'rolled_back'))
);

CREATE INDEX ix_bill_run_building_id ON fees.bill_run (community_id, building_id);

CREATE INDEX ix_bill_run_fee_item_id ON fees.bill_run (community_id, fee_item_id);

CREATE INDEX ix_bill_run_from_on ON fees.bill_run (community_id, from_on);

CREATE INDEX ix_bill_run_to_earn ON fees.bill_run (community_id, earned_to_on) WHERE earned_to_on is not null;

CREATE TABLE fees.delivery_room (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	delivery_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	buyers VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	taken_over_on DATE, 
	readings JSONB DEFAULT '{}' NOT NULL, 
	keys INTEGER DEFAULT 0 NOT NULL, 
	defects VARCHAR(1000), 
	done_by VARCHAR(120), 
	done_at TIMESTAMP WITH TIME ZONE, 
	hand_over_id UUID, 
	phone BYTEA, 
	phone_index BYTEA, 
	phone_tail BYTEA, 
	CONSTRAINT pk_delivery_room PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_delivery_room_community_id_delivery_id_room_id UNIQUE (community_id, delivery_id, room_id), 
	CONSTRAINT ck_delivery_room_keys CHECK (keys >= 0), 
	CONSTRAINT fk_delivery_room_delivery_id FOREIGN KEY(community_id, delivery_id) REFERENCES fees.delivery (community_id, id), 
	CONSTRAINT fk_delivery_room_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_delivery_room_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_delivery_room_room_delivery_state CHECK (state IN ('expected', 'delivered', 'refused', 'deemed'))
);

CREATE INDEX ix_delivery_room_phone_index ON fees.delivery_room (community_id, phone_index);

CREATE INDEX ix_delivery_room_phone_tail ON fees.delivery_room (community_id, phone_tail);

CREATE INDEX ix_delivery_room_room_id ON fees.delivery_room (community_id, room_id);

CREATE TABLE fees.hand_over (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	seller_id UUID NOT NULL, 
	buyer_id UUID NOT NULL, 
	handed_over_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	statement JSONB NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	made_by UUID, 
	CONSTRAINT pk_hand_over PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_hand_over_two_people CHECK (seller_id <> buyer_id), 
	CONSTRAINT fk_hand_over_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_hand_over_seller_id FOREIGN KEY(community_id, seller_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_hand_over_buyer_id FOREIGN KEY(community_id, buyer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_hand_over_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_hand_over_hand_over_state CHECK (state IN ('done', 'undone'))
);

CREATE INDEX ix_hand_over_buyer_id ON fees.hand_over (community_id, buyer_id);

CREATE INDEX ix_hand_over_room_id ON fees.hand_over (community_id, room_id);

CREATE INDEX ix_hand_over_seller_id ON fees.hand_over (community_id, seller_id);

CREATE TABLE fees.vacancy (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	proof VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	declared_by_id UUID, 
	requested_by UUID, 
	approved_by UUID, 
	CONSTRAINT pk_vacancy PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_vacancy_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT ex_vacancy_period EXCLUDE USING gist (community_id WITH =, room_id WITH =, daterange(from_on, to_on) WITH &&) WHERE (state = 'approved'), 
	CONSTRAINT fk_vacancy_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_vacancy_declared_by_id FOREIGN KEY(community_id, declared_by_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_vacancy_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_vacancy_waiver_state CHECK (state IN ('requested', 'approved', 'refused', 'lapsed'))
);

CREATE INDEX ix_vacancy_room_id ON fees.vacancy (community_id, room_id);

CREATE TABLE fees.bill (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	run_id UUID, 
	kind VARCHAR(40) DEFAULT 'fees' NOT NULL, 
	title VARCHAR(80) NOT NULL, 
	room_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	due_on DATE NOT NULL, 
	amount BIGINT NOT NULL, 
	paid BIGINT DEFAULT 0 NOT NULL, 
	waived BIGINT DEFAULT 0 NOT NULL, 
	due BIGINT GENERATED ALWAYS AS (case when state = 'withdrawn' then 0 else amount - waived end) STORED NOT NULL, 
	balance BIGINT GENERATED ALWAYS AS (case when state = 'withdrawn' then 0 else amount - paid - waived end) STORED NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	parent_id UUID, 
	trace JSONB, 
	CONSTRAINT pk_bill PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_bill_amounts CHECK (amount >= 0 and paid >= 0 and waived >= 0), 
	CONSTRAINT ck_bill_settled CHECK (paid + waived <= amount), 
	CONSTRAINT ck_bill_paid_when_settled CHECK (state in ('draft', 'withdrawn') or (state = 'paid') = (paid + waived = amount)), 
	CONSTRAINT ck_bill_drafted_by_a_run CHECK (state <> 'draft' or run_id is not null), 
	CONSTRAINT fk_bill_run_id FOREIGN KEY(community_id, run_id) REFERENCES fees.bill_run (community_id, id), 
	CONSTRAINT fk_bill_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_bill_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_bill_parent_id FOREIGN KEY(community_id, parent_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT ck_bill_bill_kind CHECK (kind IN ('fees', 'late_fee', 'apportionment', 'single', 'prepaid')), 
	CONSTRAINT ck_bill_bill_state CHECK (state IN ('draft', 'open', 'partly_paid', 'paid', 'withdrawn'))
)
 WITH (fillfactor = 50);

CREATE INDEX ix_bill_from_on ON fees.bill (community_id, from_on) INCLUDE (room_id, run_id, due, balance);

CREATE INDEX ix_bill_owed ON fees.bill (community_id, due_on) INCLUDE (room_id, payer_id, run_id, balance) WHERE balance > 0;

CREATE INDEX ix_bill_parent_id ON fees.bill (community_id, parent_id) WHERE parent_id is not null;

CREATE INDEX ix_bill_payer_id ON fees.bill (community_id, payer_id);

CREATE INDEX ix_bill_room_id_from_on ON fees.bill (community_id, room_id, from_on);

CREATE INDEX ix_bill_run_id ON fees.bill (community_id, run_id) INCLUDE (due, balance);

CREATE TABLE fees.discount (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	fee_item_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	share NUMERIC(7, 6) NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	basis VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	requested_by UUID, 
	approved_by UUID, 
	vacancy_id UUID, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_discount PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_discount_share CHECK (share > 0 and share <= 1), 
	CONSTRAINT ck_discount_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT fk_discount_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_discount_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_discount_vacancy_id FOREIGN KEY(community_id, vacancy_id) REFERENCES fees.vacancy (community_id, id), 
	CONSTRAINT fk_discount_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_discount_discount_kind CHECK (kind IN ('staff', 'hardship', 'vacancy', 'agreed')), 
	CONSTRAINT ck_discount_waiver_state CHECK (state IN ('requested', 'approved', 'refused', 'lapsed'))
);

CREATE INDEX ix_discount_fee_item_id ON fees.discount (community_id, fee_item_id);

CREATE INDEX ix_discount_room_id ON fees.discount (community_id, room_id);

CREATE TABLE fees.apportionment_share (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	apportionment_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	ratio NUMERIC(18, 6) NOT NULL, 
	is_excluded BOOLEAN DEFAULT false NOT NULL, 
	reason VARCHAR(200), 
	payer_id UUID, 
	amount BIGINT NOT NULL, 
	bill_id UUID, 
	CONSTRAINT pk_apportionment_share PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_apportionment_share_community_id_apportionment_id_room_id UNIQUE (community_id, apportionment_id, room_id), 
	CONSTRAINT ck_apportionment_share_ratio CHECK (ratio >= 0 and amount >= 0), 
	CONSTRAINT ck_apportionment_share_excluded CHECK (not is_excluded or (reason is not null and payer_id is not null)), 
	CONSTRAINT fk_apportionment_share_apportionment_id FOREIGN KEY(community_id, apportionment_id) REFERENCES fees.apportionment (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_apportionment_share_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_apportionment_share_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_apportionment_share_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_apportionment_share_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_apportionment_share_apportionment_id ON fees.apportionment_share (community_id, apportionment_id);

CREATE INDEX ix_apportionment_share_bill_id ON fees.apportionment_share (community_id, bill_id);

CREATE INDEX ix_apportionment_share_payer_id ON fees.apportionment_share (community_id, payer_id);

CREATE INDEX ix_apportionment_share_room_id ON fees.apportionment_share (community_id, room_id);

CREATE TABLE fees.bill_payment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	bill_id UUID NOT NULL, 
	payment_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	settled_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_bill_payment PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_bill_payment_amount CHECK (amount <> 0), 
	CONSTRAINT fk_bill_payment_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_bill_payment_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_bill_payment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_bill_payment_bill_id ON fees.bill_payment (community_id, bill_id);

CREATE INDEX ix_bill_payment_payment_id ON fees.bill_payment (community_id, payment_id);

CREATE TABLE fees.charge (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	fee_item_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	quantity NUMERIC(18, 6), 
	factor NUMERIC(7, 6) DEFAULT 1 NOT NULL, 
	anchor_day INTEGER, 
	payer_id UUID, 
	discount_id UUID, 
	factor_before NUMERIC(7, 6), 
	CONSTRAINT pk_charge PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_charge_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT ck_charge_factor CHECK (factor between 0 and 1), 
	CONSTRAINT ck_charge_anchor_day CHECK (anchor_day between 1 and 31), 
	CONSTRAINT ex_charge_period EXCLUDE USING gist (community_id WITH =, room_id WITH =, fee_item_id WITH =, daterange(from_on, to_on) WITH &&), 
	CONSTRAINT fk_charge_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_charge_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_charge_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_charge_discount_id FOREIGN KEY(community_id, discount_id) REFERENCES fees.discount (community_id, id), 
	CONSTRAINT fk_charge_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_charge_fee_item_id ON fees.charge (community_id, fee_item_id);

CREATE INDEX ix_charge_room_id ON fees.charge (community_id, room_id);

CREATE TABLE fees.prepayment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	fee_item_id UUID NOT NULL, 
	rule_id UUID NOT NULL, 
	bill_id UUID NOT NULL, 
	payer_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	amount BIGINT NOT NULL, 
	recognised BIGINT DEFAULT 0 NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	ended_on DATE, 
	reason VARCHAR(200), 
	CONSTRAINT pk_prepayment PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_prepayment_community_id_bill_id UNIQUE (community_id, bill_id), 
	CONSTRAINT ck_prepayment_period CHECK (to_on > from_on), 
	CONSTRAINT ck_prepayment_recognised CHECK (recognised between 0 and amount), 
	CONSTRAINT fk_prepayment_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_prepayment_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_prepayment_rule_id FOREIGN KEY(community_id, rule_id) REFERENCES fees.fee_rule (community_id, id), 
	CONSTRAINT fk_prepayment_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_prepayment_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_prepayment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_prepayment_prepayment_state CHECK (state IN ('running', 'ended'))
);

CREATE INDEX ix_prepayment_room_id ON fees.prepayment (community_id, room_id);

CREATE TABLE fees.waiver (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	bill_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	requested_by UUID, 
	approved_by UUID, 
	payment_id UUID, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	lapsed_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_waiver PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_waiver_amount CHECK (amount > 0), 
	CONSTRAINT fk_waiver_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_waiver_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_waiver_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_waiver_waiver_state CHECK (state IN ('requested', 'approved', 'refused', 'lapsed'))
);

CREATE INDEX ix_waiver_bill_id ON fees.waiver (community_id, bill_id);

CREATE TABLE fees.bill_line (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	bill_id UUID NOT NULL, 
	charge_id UUID NOT NULL, 
	fee_item_id UUID NOT NULL, 
	price_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	part SMALLINT DEFAULT 0 NOT NULL, 
	quantity NUMERIC(18, 6) NOT NULL, 
	unit_price NUMERIC(14, 6) NOT NULL, 
	addition BIGINT DEFAULT 0 NOT NULL, 
	factor NUMERIC(9, 6) DEFAULT 1 NOT NULL, 
	months_numerator BIGINT DEFAULT 1 NOT NULL, 
	months_denominator BIGINT DEFAULT 1 NOT NULL, 
	used_before NUMERIC(18, 6), 
	amount BIGINT NOT NULL, 
	evidence JSONB, 
	is_withdrawn BOOLEAN DEFAULT false NOT NULL, 
	CONSTRAINT pk_bill_line PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_bill_line_period CHECK (to_on > from_on), 
	CONSTRAINT fk_bill_line_bill_id FOREIGN KEY(community_id, bill_id) REFERENCES fees.bill (community_id, id), 
	CONSTRAINT fk_bill_line_charge_id FOREIGN KEY(community_id, charge_id) REFERENCES fees.charge (community_id, id)
);

CREATE INDEX ix_bill_line_bill_id ON fees.bill_line (community_id, bill_id);

CREATE INDEX ix_bill_line_to_on ON fees.bill_line USING brin (to_on);

CREATE UNIQUE INDEX uq_bill_line_charge_segment ON fees.bill_line (community_id, charge_id, from_on, part) WHERE not is_withdrawn;

CREATE TABLE fees.prepayment_month (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	prepayment_id UUID NOT NULL, 
	month_on DATE NOT NULL, 
	amount BIGINT NOT NULL, 
	entry_id UUID NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_prepayment_month PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_prepayment_month_community_id_prepayment_id_month_on UNIQUE (community_id, prepayment_id, month_on), 
	CONSTRAINT ck_prepayment_month_amount CHECK (amount > 0), 
	CONSTRAINT fk_prepayment_month_prepayment_id FOREIGN KEY(community_id, prepayment_id) REFERENCES fees.prepayment (community_id, id), 
	CONSTRAINT fk_prepayment_month_entry_id FOREIGN KEY(community_id, entry_id) REFERENCES ledger.journal_entry (community_id, id), 
	CONSTRAINT fk_prepayment_month_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

