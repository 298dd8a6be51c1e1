CREATE TABLE prepaid.calendar_period (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	CONSTRAINT pk_calendar_period PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_calendar_period_period CHECK (to_on > from_on), 
	CONSTRAINT fk_calendar_period_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_calendar_period_period_kind CHECK (kind IN ('exam', 'vacation'))
);

CREATE TABLE prepaid.supplier_bill (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	commodity VARCHAR(40) NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	quantity NUMERIC(18, 4) NOT NULL, 
	amount BIGINT NOT NULL, 
	number VARCHAR(60) NOT NULL, 
	CONSTRAINT pk_supplier_bill PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_supplier_bill_community_id_commodity_from_on UNIQUE (community_id, commodity, from_on), 
	CONSTRAINT ck_supplier_bill_period CHECK (to_on > from_on), 
	CONSTRAINT fk_supplier_bill_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_supplier_bill_commodity CHECK (commodity IN ('water', 'electricity', 'gas', 'heat'))
);

CREATE TABLE prepaid.tariff (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	commodity VARCHAR(40) NOT NULL, 
	from_on DATE NOT NULL, 
	price NUMERIC(10, 6) NOT NULL, 
	grid_price NUMERIC(10, 6) NOT NULL, 
	free_per_person NUMERIC(10, 2) NOT NULL, 
	source VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_tariff PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_tariff_community_id_commodity_from_on UNIQUE (community_id, commodity, from_on), 
	CONSTRAINT ck_tariff_no_markup CHECK (price >= 0 and price <= grid_price), 
	CONSTRAINT ck_tariff_free CHECK (free_per_person >= 0), 
	CONSTRAINT fk_tariff_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_tariff_commodity CHECK (commodity IN ('water', 'electricity', 'gas', 'heat'))
);

CREATE TABLE prepaid.student (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID NOT NULL, 
	number VARCHAR(30) NOT NULL, 
	CONSTRAINT pk_student PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_student_community_id_number UNIQUE (community_id, number), 
	CONSTRAINT uq_student_community_id_person_id UNIQUE (community_id, person_id), 
	CONSTRAINT fk_student_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_student_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE prepaid.energy_account (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	commodity VARCHAR(40) NOT NULL, 
	protection VARCHAR(40) NOT NULL, 
	limit_kw NUMERIC(8, 3), 
	opened_on DATE NOT NULL, 
	closed_on DATE, 
	balance BIGINT NOT NULL, 
	carried NUMERIC(18, 12) NOT NULL, 
	meter_id UUID, 
	counted NUMERIC(18, 4), 
	counted_at TIMESTAMP WITH TIME ZONE, 
	problem VARCHAR(200), 
	month_on DATE, 
	month_used NUMERIC(18, 4) NOT NULL, 
	month_free NUMERIC(18, 4) NOT NULL, 
	warned_at TIMESTAMP WITH TIME ZONE, 
	empty_at TIMESTAMP WITH TIME ZONE, 
	supply VARCHAR(40) NOT NULL, 
	cut_reason VARCHAR(40), 
	cut_at TIMESTAMP WITH TIME ZONE, 
	restore_at TIMESTAMP WITH TIME ZONE, 
	back_at TIMESTAMP WITH TIME ZONE, 
	trips_on DATE, 
	trips INTEGER NOT NULL, 
	command_id UUID, 
	protection_note BYTEA, 
	CONSTRAINT pk_energy_account PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_energy_account_limit_kw CHECK (limit_kw > 0), 
	CONSTRAINT fk_energy_account_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_energy_account_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_energy_account_commodity CHECK (commodity IN ('water', 'electricity', 'gas', 'heat')), 
	CONSTRAINT ck_energy_account_protection CHECK (protection IN ('none', 'medical', 'minimum')), 
	CONSTRAINT ck_energy_account_supply CHECK (supply IN ('on', 'cutting', 'off', 'restoring')), 
	CONSTRAINT ck_energy_account_cut_reason CHECK (cut_reason IN ('empty', 'overload', 'malicious'))
);

CREATE INDEX ix_energy_account_room_id ON prepaid.energy_account (community_id, room_id);

CREATE UNIQUE INDEX uq_energy_account_open ON prepaid.energy_account (community_id, room_id, commodity) WHERE closed_on is null;

CREATE TABLE prepaid.meter_card (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	account_id UUID NOT NULL, 
	serial VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	lost_because VARCHAR(200), 
	key BYTEA NOT NULL, 
	CONSTRAINT pk_meter_card PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_meter_card_community_id_serial UNIQUE (community_id, serial), 
	CONSTRAINT fk_meter_card_account_id FOREIGN KEY(community_id, account_id) REFERENCES prepaid.energy_account (community_id, id), 
	CONSTRAINT fk_meter_card_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_meter_card_card_state CHECK (state IN ('active', 'lost'))
);

CREATE INDEX ix_meter_card_account_id ON prepaid.meter_card (community_id, account_id);

CREATE UNIQUE INDEX uq_meter_card_active ON prepaid.meter_card (community_id, account_id) WHERE state = 'active';

CREATE TABLE prepaid.movement (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	account_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	booked_on DATE NOT NULL, 
	amount BIGINT NOT NULL, 
	quantity NUMERIC(18, 4) NOT NULL, 
	free NUMERIC(18, 4) NOT NULL, 
	counter NUMERIC(18, 4), 
	price NUMERIC(10, 6), 
	source_id UUID, 
	entry_id UUID, 
	CONSTRAINT pk_movement PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_movement_account_id FOREIGN KEY(community_id, account_id) REFERENCES prepaid.energy_account (community_id, id), 
	CONSTRAINT fk_movement_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_movement_movement_kind CHECK (kind IN ('top_up', 'usage', 'refund', 'pay_back'))
);

CREATE INDEX ix_movement_account_id ON prepaid.movement (community_id, account_id);

CREATE INDEX ix_movement_to_post ON prepaid.movement (community_id, booked_on) WHERE entry_id is null;

CREATE UNIQUE INDEX uq_movement_source ON prepaid.movement (community_id, account_id, source_id) WHERE source_id is not null;

CREATE UNIQUE INDEX uq_movement_usage ON prepaid.movement (community_id, account_id, booked_on) WHERE kind = 'usage';

CREATE TABLE prepaid.card_write (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	account_id UUID NOT NULL, 
	card_id UUID NOT NULL, 
	sequence INTEGER NOT NULL, 
	amount BIGINT NOT NULL, 
	payment_id UUID NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	tries INTEGER NOT NULL, 
	content VARCHAR(200), 
	written_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_card_write PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_card_write_community_id_account_id_sequence UNIQUE (community_id, account_id, sequence), 
	CONSTRAINT uq_card_write_community_id_payment_id UNIQUE (community_id, payment_id), 
	CONSTRAINT ck_card_write_amount CHECK (amount > 0), 
	CONSTRAINT fk_card_write_account_id FOREIGN KEY(community_id, account_id) REFERENCES prepaid.energy_account (community_id, id), 
	CONSTRAINT fk_card_write_card_id FOREIGN KEY(community_id, card_id) REFERENCES prepaid.meter_card (community_id, id), 
	CONSTRAINT fk_card_write_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_card_write_write_state CHECK (state IN ('waiting', 'written'))
);

