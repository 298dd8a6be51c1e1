-- The scope of a transaction: who acts, what may be read, what may be written.
-- The application sends it with BEGIN as "payload|mac"; payload is
-- "1;group;write community;read communities;actor;backend;expiry;group write".
-- The MAC is HMAC-SHA256 under a key that only the owner reads, so SQL that an attacker manages to
-- inject can neither widen nor switch it. The policies call these functions in a scalar subselect:
-- one verification per statement, never per row.

create table dougong.scope_key (
    id boolean primary key default true check (id),
    inner_pad bytea not null,
    outer_pad bytea not null
);
revoke all on dougong.scope_key from public;

create function dougong.scope_part(part integer) returns text
language plpgsql stable parallel restricted security definer
set search_path = pg_catalog, pg_temp as $$
declare
    setting text := current_setting('dougong.scope', true);
    payload text;
    pads dougong.scope_key;
begin
    if setting is null or setting = '' then
        return null;
    end if;
    payload := split_part(setting, '|', 1);
    select * into pads from dougong.scope_key;
    if encode(sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(payload, 'UTF8'))), 'hex')
       is distinct from split_part(setting, '|', 2) then
        raise exception 'scope refused: signature' using errcode = '42501';
    end if;
    if split_part(payload, ';', 6)::integer <> pg_backend_pid() then
        raise exception 'scope refused: backend' using errcode = '42501';
    end if;
    if to_timestamp(split_part(payload, ';', 7)::double precision) < transaction_timestamp() then
        raise exception 'scope refused: expired' using errcode = '42501';
    end if;
    return nullif(split_part(payload, ';', part), '-');
end $$;

create function dougong.reading_group() returns uuid
language sql stable parallel restricted security definer set search_path = pg_catalog, pg_temp
as $$ select dougong.scope_part(2)::uuid $$;

create function dougong.writing_community() returns uuid
language sql stable parallel restricted security definer set search_path = pg_catalog, pg_temp
as $$ select dougong.scope_part(3)::uuid $$;

create function dougong.reading_communities() returns uuid[]
language sql stable parallel restricted security definer set search_path = pg_catalog, pg_temp
as $$ select ('{' || dougong.scope_part(4) || '}')::uuid[] $$;

create function dougong.actor_id() returns uuid
language sql stable parallel restricted security definer set search_path = pg_catalog, pg_temp
as $$ select dougong.scope_part(5)::uuid $$;

create function dougong.writing_group() returns uuid
language sql stable parallel restricted security definer set search_path = pg_catalog, pg_temp
as $$ select dougong.scope_part(8)::uuid $$;

CREATE TABLE dougong.plugin (
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	version VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	reason TEXT, 
	content_hash VARCHAR(64), 
	changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_plugin PRIMARY KEY (id), 
	CONSTRAINT uq_plugin_plugin UNIQUE (plugin), 
	CONSTRAINT ck_plugin_plugin_state CHECK (state IN ('available', 'installed', 'needs_upgrade', 'error', 'quarantined', 'revoked', 'archived'))
);

CREATE TABLE dougong.plugin_archive (
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	version VARCHAR(40) NOT NULL, 
	archive_schema VARCHAR(63) NOT NULL, 
	tables JSONB NOT NULL, 
	foreign_keys JSONB NOT NULL, 
	archived_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	restored_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_plugin_archive PRIMARY KEY (id), 
	CONSTRAINT uq_plugin_archive_archive_schema UNIQUE (archive_schema)
);

CREATE TABLE dougong.plugin_failure (
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	point VARCHAR(120) NOT NULL, 
	reason TEXT NOT NULL, 
	count INTEGER NOT NULL, 
	total BIGINT NOT NULL, 
	since_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	last_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_plugin_failure PRIMARY KEY (id), 
	CONSTRAINT uq_plugin_failure_plugin_point UNIQUE (plugin, point)
);

CREATE TABLE dougong.property_group (
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	CONSTRAINT pk_property_group PRIMARY KEY (id)
);

CREATE TABLE dougong.repair_issue (
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	point VARCHAR(120) NOT NULL, 
	reason TEXT NOT NULL, 
	advice TEXT NOT NULL, 
	opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	resolved_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_repair_issue PRIMARY KEY (id)
);

CREATE UNIQUE INDEX uq_repair_issue_open ON dougong.repair_issue (plugin, point) WHERE resolved_at is null;

CREATE TABLE dougong.scope_version (
	id UUID DEFAULT uuidv7() NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_scope_version PRIMARY KEY (id)
);

CREATE TABLE dougong.setting (
	id UUID DEFAULT uuidv7() NOT NULL, 
	scope_id UUID NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	value JSONB NOT NULL, 
	CONSTRAINT pk_setting PRIMARY KEY (id), 
	CONSTRAINT uq_setting_scope_id_name UNIQUE (scope_id, name)
);

CREATE TABLE dougong.legal_entity (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	tax_number VARCHAR(30), 
	bank_name VARCHAR(120), 
	bank_account VARCHAR(40), 
	CONSTRAINT pk_legal_entity PRIMARY KEY (group_id, id), 
	CONSTRAINT fk_legal_entity_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id)
);

CREATE TABLE dougong.region (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	CONSTRAINT pk_region PRIMARY KEY (group_id, id), 
	CONSTRAINT fk_region_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id)
);

CREATE TABLE dougong.community (
	id UUID DEFAULT uuidv7() NOT NULL, 
	group_id UUID NOT NULL, 
	region_id UUID, 
	legal_entity_id UUID, 
	name VARCHAR(120) NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	zone VARCHAR(60) NOT NULL, 
	address VARCHAR(200), 
	latitude NUMERIC(9, 6), 
	longitude NUMERIC(9, 6), 
	CONSTRAINT pk_community PRIMARY KEY (id), 
	CONSTRAINT fk_community_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id), 
	CONSTRAINT fk_community_region_id FOREIGN KEY(group_id, region_id) REFERENCES dougong.region (group_id, id), 
	CONSTRAINT fk_community_legal_entity_id FOREIGN KEY(group_id, legal_entity_id) REFERENCES dougong.legal_entity (group_id, id), 
	CONSTRAINT ck_community_community_kind CHECK (kind IN ('estate', 'old_community', 'campus', 'office_park'))
);

CREATE INDEX ix_community_group_id ON dougong.community (group_id);

CREATE TABLE dougong.building (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	code VARCHAR(20) NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	floors INTEGER, 
	sort_key VARCHAR(60) NOT NULL, 
	CONSTRAINT pk_building PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_building_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT fk_building_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.document_text (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	document VARCHAR(80) NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	locale VARCHAR(20) NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_document_text PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_document_text_community_id_document_name_locale UNIQUE (community_id, document, name, locale), 
	CONSTRAINT fk_document_text_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.person (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	sort_key VARCHAR(120) NOT NULL, 
	is_protected BOOLEAN DEFAULT false NOT NULL, 
	note VARCHAR(500), 
	phone BYTEA, 
	phone_index BYTEA, 
	phone_tail BYTEA, 
	id_number BYTEA, 
	id_number_index BYTEA, 
	id_number_tail BYTEA, 
	CONSTRAINT pk_person PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_person_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_person_person_kind CHECK (kind IN ('person', 'company'))
);

CREATE INDEX ix_person_id_number_index ON dougong.person (community_id, id_number_index);

CREATE INDEX ix_person_id_number_tail ON dougong.person (community_id, id_number_tail);

CREATE INDEX ix_person_name ON dougong.person (community_id, name);

CREATE INDEX ix_person_phone_index ON dougong.person (community_id, phone_index);

CREATE INDEX ix_person_phone_tail ON dougong.person (community_id, phone_tail);

CREATE TABLE dougong.plugin_enablement (
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	community_id UUID NOT NULL, 
	building_ids UUID[], 
	CONSTRAINT pk_plugin_enablement PRIMARY KEY (id), 
	CONSTRAINT uq_plugin_enablement_plugin_community_id UNIQUE (plugin, community_id), 
	CONSTRAINT fk_plugin_enablement_ FOREIGN KEY(community_id) REFERENCES dougong.community (id) ON DELETE CASCADE
);

CREATE INDEX ix_plugin_enablement_community_id ON dougong.plugin_enablement (community_id);

CREATE TABLE dougong.family (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID NOT NULL, 
	relative_id UUID NOT NULL, 
	relation VARCHAR(40) NOT NULL, 
	may_pay BOOLEAN NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	CONSTRAINT pk_family PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_family_two_people CHECK (person_id <> relative_id), 
	CONSTRAINT fk_family_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_family_relative_id FOREIGN KEY(community_id, relative_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_family_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_family_person_id ON dougong.family (community_id, person_id);

CREATE INDEX ix_family_relative_id ON dougong.family (community_id, relative_id);

CREATE TABLE dougong.unit (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	building_id UUID NOT NULL, 
	code VARCHAR(20) NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	CONSTRAINT pk_unit PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_unit_community_id_building_id_code UNIQUE (community_id, building_id, code), 
	CONSTRAINT fk_unit_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_unit_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_unit_building_id ON dougong.unit (community_id, building_id);

CREATE TABLE dougong.room (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	building_id UUID NOT NULL, 
	unit_id UUID, 
	code VARCHAR(40) NOT NULL, 
	sort_key VARCHAR(60) NOT NULL, 
	floor INTEGER, 
	room_kind VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	built_area NUMERIC(12, 2), 
	inner_area NUMERIC(12, 2), 
	old_code VARCHAR(40), 
	CONSTRAINT pk_room PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_room_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT fk_room_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_room_unit_id FOREIGN KEY(community_id, unit_id) REFERENCES dougong.unit (community_id, id), 
	CONSTRAINT fk_room_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_room_room_kind CHECK (room_kind IN ('flat', 'shop', 'office', 'dormitory', 'parking', 'storage')), 
	CONSTRAINT ck_room_room_state CHECK (state IN ('unsold', 'delivered', 'occupied', 'vacant'))
);

CREATE INDEX ix_room_building_id ON dougong.room (community_id, building_id);

CREATE INDEX ix_room_sort_key ON dougong.room (community_id, sort_key);

CREATE INDEX ix_room_unit_id ON dougong.room (community_id, unit_id);

CREATE TABLE dougong.occupancy (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	pays_fees BOOLEAN DEFAULT false NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	CONSTRAINT pk_occupancy PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_occupancy_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT fk_occupancy_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_occupancy_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_occupancy_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_occupancy_occupancy_kind CHECK (kind IN ('owner', 'family', 'lease', 'bed'))
);

CREATE INDEX ix_occupancy_person_id ON dougong.occupancy (community_id, person_id);

CREATE INDEX ix_occupancy_room_id ON dougong.occupancy (community_id, room_id);

CREATE TABLE dougong.ownership (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	share NUMERIC(9, 6) NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	CONSTRAINT pk_ownership PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_ownership_share CHECK (share > 0 and share <= 1), 
	CONSTRAINT ck_ownership_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT ex_ownership_period EXCLUDE USING gist (community_id WITH =, room_id WITH =, person_id WITH =, daterange(from_on, to_on) WITH &&), 
	CONSTRAINT fk_ownership_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_ownership_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_ownership_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_ownership_person_id ON dougong.ownership (community_id, person_id);

CREATE INDEX ix_ownership_room_id ON dougong.ownership (community_id, room_id);

-- Replaced by the audit log: rows get into it by statement-level triggers only.
create function dougong.audit_rows() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
    return null;
end $$;
