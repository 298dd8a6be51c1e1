-- The scope of a transaction: who acts, what may be read, what may be written.
-- The application sends it with BEGIN as "mac;backend;expiry;value"; value is
-- "dougong_group_write community_actor_group write_read communities", ids in hex.
-- The MAC is HMAC-SHA256 under a key that only the owner reads, so SQL that an attacker manages to
-- inject can neither widen nor switch it. `enter` verifies it once per transaction and keeps the
-- value where plain SQL reads and cannot write: in a superuser's parameter on which the owner
-- alone holds SET (roles.sql). PostgreSQL has no private variables of a session; of its text
-- parameters this one does nothing with a name that is no C function's.

create table dougong.scope_key (
    id boolean primary key default true check (id),
    inner_pad bytea not null,
    outer_pad bytea not null
);
revoke all on dougong.scope_key from public;
-- A backup locks every table that it describes; what is in this one it neither reads nor holds.
grant maintain on dougong.scope_key to dougong_backup;

-- The key's pads, as constants: they are called immutable so that the expressions of `enter` are
-- planned with their values, once per connection. Whoever changes the key alters `enter` as well,
-- which has every connection plan anew.
create function dougong.inner_pad() returns bytea language sql immutable
return (select scope_key.inner_pad from dougong.scope_key);
create function dougong.outer_pad() returns bytea language sql immutable
return (select scope_key.outer_pad from dougong.scope_key);
revoke all on function dougong.inner_pad(), dougong.outer_pad() from public;

-- A procedure: CALL needs no plan and no result, and costs half of a SELECT of the same function.
create procedure dougong.enter(signed text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
    parameter text;
begin
    -- Every line is an expression that needs no executor: this runs with every BEGIN.
    if encode(sha256(dougong.outer_pad() || sha256(dougong.inner_pad()
              || convert_to(substr(signed, 65), 'UTF8'))), 'hex')
       is distinct from substr(signed, 1, 64) then
        raise exception 'scope refused: signature' using errcode = '42501';
    elsif split_part(signed, ';', 2)::integer <> pg_backend_pid() then
        raise exception 'scope refused: backend' using errcode = '42501';
    elsif to_timestamp(split_part(signed, ';', 3)::double precision) < transaction_timestamp() then
        raise exception 'scope refused: expired' using errcode = '42501';
    elsif starts_with(current_setting('backtrace_functions'), 'dougong_') then
        raise exception 'scope refused: this transaction has one' using errcode = '42501';
    end if;
    parameter := set_config('backtrace_functions', split_part(signed, ';', 4), true);
end $$;
revoke all on procedure dougong.enter(text) from public;
grant execute on procedure dougong.enter(text) to dougong_app, dougong_access, dougong_platform;

-- The policies call these in a scalar subselect: once per statement, never per row. They are
-- expanded into the statement, so calling one costs what its expression costs.
create function dougong.reading_group() returns uuid language sql stable parallel safe
return nullif(split_part(current_setting('backtrace_functions'), '_', 2), '')::uuid;

create function dougong.writing_community() returns uuid language sql stable parallel safe
return nullif(split_part(current_setting('backtrace_functions'), '_', 3), '')::uuid;

create function dougong.actor_id() returns uuid language sql stable parallel safe
return nullif(split_part(current_setting('backtrace_functions'), '_', 4), '')::uuid;

create function dougong.writing_group() returns uuid language sql stable parallel safe
return nullif(split_part(current_setting('backtrace_functions'), '_', 5), '')::uuid;

create function dougong.reading_communities() returns uuid[] language sql stable parallel safe
return ('{' || split_part(current_setting('backtrace_functions'), '_', 6) || '}')::uuid[];

CREATE UNLOGGED TABLE dougong.api_bucket (
	id UUID DEFAULT uuidv7() NOT NULL, 
	actor_id UUID NOT NULL, 
	place_id UUID NOT NULL, 
	tokens DOUBLE PRECISION NOT NULL, 
	filled_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	granted INTEGER NOT NULL, 
	CONSTRAINT pk_api_bucket PRIMARY KEY (id), 
	CONSTRAINT uq_api_bucket_actor_id_place_id UNIQUE (actor_id, place_id)
);

CREATE TABLE dougong.api_token_use (
	id UUID DEFAULT uuidv7() NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_api_token_use PRIMARY KEY (id)
);

CREATE TABLE dougong.audit_checkpoint (
	id UUID DEFAULT uuidv7() NOT NULL, 
	number BIGINT NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	line JSONB NOT NULL, 
	CONSTRAINT pk_audit_checkpoint PRIMARY KEY (id), 
	CONSTRAINT uq_audit_checkpoint_number UNIQUE (number)
);

CREATE TABLE dougong.audit_event (
	id UUID DEFAULT uuidv7() NOT NULL, 
	chain_id UUID NOT NULL, 
	txid xid8 NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	actor_id UUID, 
	verb TEXT NOT NULL, 
	schema_name VARCHAR(63) NOT NULL, 
	table_name VARCHAR(63) NOT NULL, 
	row_id TEXT, 
	operation VARCHAR(10) NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_audit_event PRIMARY KEY (id)
);

CREATE INDEX ix_audit_event_record ON dougong.audit_event (chain_id, schema_name, table_name, row_id, id);

CREATE TABLE dougong.audit_head (
	id UUID DEFAULT uuidv7() NOT NULL, 
	seq BIGINT NOT NULL, 
	hash BYTEA NOT NULL, 
	mentioned_seq BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_audit_head PRIMARY KEY (id)
);

CREATE TABLE dougong.audit_link (
	id UUID DEFAULT uuidv7() NOT NULL, 
	chain_id UUID NOT NULL, 
	seq BIGINT NOT NULL, 
	body_hash BYTEA NOT NULL, 
	hash BYTEA NOT NULL, 
	CONSTRAINT pk_audit_link PRIMARY KEY (id), 
	CONSTRAINT uq_audit_link_chain_id_seq UNIQUE (chain_id, seq)
);

CREATE TABLE dougong.audit_pending (
	id UUID DEFAULT uuidv7() NOT NULL, 
	CONSTRAINT pk_audit_pending PRIMARY KEY (id)
);

CREATE TABLE dougong.data_key (
	id UUID DEFAULT uuidv7() NOT NULL, 
	scope_id UUID NOT NULL, 
	purpose VARCHAR(40) NOT NULL, 
	number INTEGER NOT NULL, 
	suite SMALLINT NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	provider VARCHAR(60) NOT NULL, 
	wrapped BYTEA, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	retired_at TIMESTAMP WITH TIME ZONE, 
	destroyed_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_data_key PRIMARY KEY (id), 
	CONSTRAINT uq_data_key_scope_id_purpose_number UNIQUE (scope_id, purpose, number), 
	CONSTRAINT ck_data_key_key_purpose CHECK (purpose IN ('data', 'index')), 
	CONSTRAINT ck_data_key_key_state CHECK (state IN ('coming', 'current', 'retiring', 'retired', 'destroyed'))
);

CREATE UNIQUE INDEX uq_data_key_current ON dougong.data_key (scope_id, purpose) WHERE state = 'current';

CREATE TABLE dougong.erasure (
	id UUID DEFAULT uuidv7() NOT NULL, 
	community_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	emptied JSONB NOT NULL, 
	kept JSONB NOT NULL, 
	audit_events JSONB NOT NULL, 
	CONSTRAINT pk_erasure PRIMARY KEY (id)
);

CREATE INDEX ix_erasure_community_id ON dougong.erasure (community_id, person_id);

CREATE TABLE dougong.export (
	id UUID DEFAULT uuidv7() NOT NULL, 
	community_id UUID, 
	group_id UUID, 
	user_id UUID, 
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	view VARCHAR(120) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	filters JSONB NOT NULL, 
	rows INTEGER NOT NULL, 
	columns JSONB NOT NULL, 
	personal JSONB NOT NULL, 
	is_clear BOOLEAN NOT NULL, 
	reason VARCHAR(40), 
	note VARCHAR(200) NOT NULL, 
	words BYTEA, 
	CONSTRAINT pk_export PRIMARY KEY (id), 
	CONSTRAINT ck_export_reveal_reason CHECK (reason IN ('call', 'identity_check', 'emergency', 'legal', 'subject_request', 'correction'))
);

CREATE INDEX ix_export_user_id ON dougong.export (user_id, at);

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

CREATE TABLE dougong.plugin_usage (
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	point VARCHAR(120) NOT NULL, 
	day_on DATE NOT NULL, 
	calls BIGINT NOT NULL, 
	taken_us BIGINT NOT NULL, 
	failures BIGINT NOT NULL, 
	over_budget BIGINT NOT NULL, 
	longest_ms BIGINT NOT NULL, 
	CONSTRAINT pk_plugin_usage PRIMARY KEY (id), 
	CONSTRAINT uq_plugin_usage_plugin_point_day_on UNIQUE (plugin, point, day_on)
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

CREATE TABLE dougong.reveal (
	id UUID DEFAULT uuidv7() NOT NULL, 
	community_id UUID, 
	group_id UUID, 
	user_id UUID, 
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	"table" VARCHAR(130) NOT NULL, 
	row_id UUID NOT NULL, 
	field VARCHAR(63) NOT NULL, 
	reason VARCHAR(40) NOT NULL, 
	note VARCHAR(200) NOT NULL, 
	is_alarm BOOLEAN DEFAULT false NOT NULL, 
	CONSTRAINT pk_reveal PRIMARY KEY (id), 
	CONSTRAINT ck_reveal_reveal_reason CHECK (reason IN ('call', 'identity_check', 'emergency', 'legal', 'subject_request', 'correction'))
);

CREATE INDEX ix_reveal_user_id ON dougong.reveal (user_id, at);

CREATE TABLE dougong.role (
	id UUID DEFAULT uuidv7() NOT NULL, 
	group_id UUID, 
	key VARCHAR(60) NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	name_zh VARCHAR(120) NOT NULL, 
	duty VARCHAR(40) NOT NULL, 
	permissions JSONB NOT NULL, 
	clearance JSONB NOT NULL, 
	rules JSONB DEFAULT '[]' NOT NULL, 
	limits JSONB DEFAULT '{}' NOT NULL, 
	previous JSONB, 
	CONSTRAINT pk_role PRIMARY KEY (id), 
	CONSTRAINT uq_role_id_duty UNIQUE (id, duty), 
	CONSTRAINT uq_role_group_id_key UNIQUE NULLS NOT DISTINCT (group_id, key), 
	CONSTRAINT ck_role_duty CHECK (duty IN ('system', 'security', 'audit', 'business'))
);

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

CREATE TABLE dougong.sign_in_attempt (
	id UUID DEFAULT uuidv7() NOT NULL, 
	login VARCHAR(80) NOT NULL, 
	address VARCHAR(60) NOT NULL, 
	at TIMESTAMP WITH TIME ZONE NOT NULL, 
	is_success BOOLEAN NOT NULL, 
	CONSTRAINT pk_sign_in_attempt PRIMARY KEY (id)
);

CREATE INDEX ix_sign_in_attempt_address_at ON dougong.sign_in_attempt (address, at);

CREATE INDEX ix_sign_in_attempt_login_at ON dougong.sign_in_attempt (login, at);

CREATE TABLE dougong."user" (
	id UUID DEFAULT uuidv7() NOT NULL, 
	login VARCHAR(80) NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	password_hash VARCHAR(200), 
	locale VARCHAR(20), 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	totp_step INTEGER, 
	is_totp_confirmed BOOLEAN DEFAULT false NOT NULL, 
	is_grace_used BOOLEAN DEFAULT false NOT NULL, 
	totp_secret BYTEA, 
	CONSTRAINT pk_user PRIMARY KEY (id), 
	CONSTRAINT uq_user_login UNIQUE (login)
);

CREATE TABLE dougong.api_token (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	token_hash BYTEA NOT NULL, 
	permissions JSONB NOT NULL, 
	community_ids JSONB, 
	ends_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	revoked_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_api_token PRIMARY KEY (id), 
	CONSTRAINT uq_api_token_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_api_token_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE TABLE dougong.delegation (
	id UUID DEFAULT uuidv7() NOT NULL, 
	group_id UUID NOT NULL, 
	user_id UUID NOT NULL, 
	to_user_id UUID NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	ended_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_delegation PRIMARY KEY (id), 
	CONSTRAINT ck_delegation_another CHECK (user_id <> to_user_id), 
	CONSTRAINT ck_delegation_days CHECK (to_on > from_on), 
	CONSTRAINT fk_delegation_user_id FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE, 
	CONSTRAINT fk_delegation_to_user_id FOREIGN KEY(to_user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE INDEX ix_delegation_to_user_id ON dougong.delegation (to_user_id);

CREATE INDEX ix_delegation_user_id ON dougong.delegation (user_id);

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

CREATE TABLE dougong.one_time_link (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	token_hash BYTEA NOT NULL, 
	ends_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	used_at TIMESTAMP WITH TIME ZONE, 
	is_console BOOLEAN DEFAULT false NOT NULL, 
	CONSTRAINT pk_one_time_link PRIMARY KEY (id), 
	CONSTRAINT uq_one_time_link_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_one_time_link_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE TABLE dougong.passkey (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	credential_id BYTEA NOT NULL, 
	public_key BYTEA NOT NULL, 
	sign_count BIGINT NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	last_used_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_passkey PRIMARY KEY (id), 
	CONSTRAINT uq_passkey_credential_id UNIQUE (credential_id), 
	CONSTRAINT fk_passkey_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE INDEX ix_passkey_user_id ON dougong.passkey (user_id);

CREATE TABLE dougong.passkey_challenge (
	id UUID DEFAULT uuidv7() NOT NULL, 
	purpose VARCHAR(20) NOT NULL, 
	challenge BYTEA NOT NULL, 
	user_id UUID, 
	ends_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_passkey_challenge PRIMARY KEY (id), 
	CONSTRAINT fk_passkey_challenge_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE TABLE dougong.recovery_code (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	code_hash BYTEA NOT NULL, 
	used_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_recovery_code PRIMARY KEY (id), 
	CONSTRAINT uq_recovery_code_user_id_code_hash UNIQUE (user_id, code_hash), 
	CONSTRAINT fk_recovery_code_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE TABLE dougong.region (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	CONSTRAINT pk_region PRIMARY KEY (group_id, id), 
	CONSTRAINT fk_region_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id)
);

CREATE TABLE dougong.role_clearance (
	id UUID DEFAULT uuidv7() NOT NULL, 
	group_id UUID NOT NULL, 
	role_id UUID NOT NULL, 
	clearance JSONB NOT NULL, 
	limits JSONB DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_role_clearance PRIMARY KEY (id), 
	CONSTRAINT uq_role_clearance_group_id_role_id UNIQUE (group_id, role_id), 
	CONSTRAINT fk_role_clearance_ FOREIGN KEY(role_id) REFERENCES dougong.role (id) ON DELETE CASCADE
);

CREATE TABLE dougong.role_grant (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	role_id UUID NOT NULL, 
	duty VARCHAR(40) NOT NULL, 
	group_id UUID, 
	region_id UUID, 
	community_id UUID, 
	building_ids JSONB, 
	from_on DATE, 
	to_on DATE, 
	CONSTRAINT pk_role_grant PRIMARY KEY (id), 
	CONSTRAINT fk_role_grant_role FOREIGN KEY(role_id, duty) REFERENCES dougong.role (id, duty), 
	CONSTRAINT ex_role_grant_one_duty EXCLUDE USING gist (user_id WITH =, duty WITH <>) WHERE (duty in ('system', 'security', 'audit')), 
	CONSTRAINT ck_role_grant_scope CHECK (group_id is not null or (community_id is null and region_id is null)), 
	CONSTRAINT ck_role_grant_buildings CHECK (building_ids is null or community_id is not null), 
	CONSTRAINT fk_role_grant_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE INDEX ix_role_grant_user_id ON dougong.role_grant (user_id);

CREATE TABLE dougong.saved_view (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	group_id UUID NOT NULL, 
	view VARCHAR(120) NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	query VARCHAR(1000) NOT NULL, 
	is_shared BOOLEAN DEFAULT false NOT NULL, 
	CONSTRAINT pk_saved_view PRIMARY KEY (id), 
	CONSTRAINT uq_saved_view_user_id_group_id_view_name UNIQUE (user_id, group_id, view, name), 
	CONSTRAINT fk_saved_view_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE INDEX ix_saved_view_group_id_view ON dougong.saved_view (group_id, view);

CREATE TABLE dougong.sign_in_session (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	token_hash BYTEA NOT NULL, 
	started_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	seen_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	ends_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	revoked_at TIMESTAMP WITH TIME ZONE, 
	stepped_up_at TIMESTAMP WITH TIME ZONE, 
	begun_by VARCHAR(20) DEFAULT 'password' NOT NULL, 
	is_second BOOLEAN DEFAULT false NOT NULL, 
	device VARCHAR(200) NOT NULL, 
	address VARCHAR(60) NOT NULL, 
	CONSTRAINT pk_sign_in_session PRIMARY KEY (id), 
	CONSTRAINT uq_sign_in_session_token_hash UNIQUE (token_hash), 
	CONSTRAINT fk_sign_in_session_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
);

CREATE INDEX ix_sign_in_session_user_id ON dougong.sign_in_session (user_id);

CREATE TABLE dougong.staff (
	group_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID, 
	name VARCHAR(120) NOT NULL, 
	post VARCHAR(60) NOT NULL, 
	phone BYTEA, 
	phone_index BYTEA, 
	phone_tail BYTEA, 
	CONSTRAINT pk_staff PRIMARY KEY (group_id, id), 
	CONSTRAINT fk_staff_ FOREIGN KEY(group_id) REFERENCES dougong.property_group (id)
);

CREATE INDEX ix_staff_phone_index ON dougong.staff (group_id, phone_index);

CREATE INDEX ix_staff_phone_tail ON dougong.staff (group_id, phone_tail);

CREATE TABLE dougong.user_person (
	id UUID DEFAULT uuidv7() NOT NULL, 
	user_id UUID NOT NULL, 
	community_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	CONSTRAINT pk_user_person PRIMARY KEY (id), 
	CONSTRAINT uq_user_person_user_id_community_id_person_id UNIQUE (user_id, community_id, person_id), 
	CONSTRAINT fk_user_person_ FOREIGN KEY(user_id) REFERENCES dougong."user" (id) ON DELETE CASCADE
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

CREATE TABLE dougong.attachment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	subject_kind VARCHAR(80) NOT NULL, 
	subject_id UUID NOT NULL, 
	media_type VARCHAR(100) NOT NULL, 
	size BIGINT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	stored_as VARCHAR(80) NOT NULL, 
	attached_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	attached_by VARCHAR(120) NOT NULL, 
	name BYTEA, 
	secret BYTEA, 
	CONSTRAINT pk_attachment PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_attachment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_attachment_digest ON dougong.attachment (community_id, digest);

CREATE INDEX ix_attachment_stored_as ON dougong.attachment (community_id, stored_as);

CREATE INDEX ix_attachment_subject ON dougong.attachment (community_id, subject_kind, subject_id);

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

CREATE TABLE dougong.device_health (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	subject_id UUID NOT NULL, 
	is_ok BOOLEAN NOT NULL, 
	since_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	last_ok_at TIMESTAMP WITH TIME ZONE, 
	failures INTEGER NOT NULL, 
	next_try_at TIMESTAMP WITH TIME ZONE, 
	certificate_ends_at TIMESTAMP WITH TIME ZONE, 
	detail VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_device_health PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_health_community_id_subject_id UNIQUE (community_id, subject_id), 
	CONSTRAINT fk_device_health_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
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

CREATE TABLE dougong.exchange_part (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	owner_id UUID NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	number INTEGER NOT NULL, 
	sealed BYTEA NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_exchange_part PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_exchange_part_community_id_owner_id_kind_number UNIQUE (community_id, owner_id, kind, number), 
	CONSTRAINT fk_exchange_part_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.export_file (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	view VARCHAR(120) NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	asked_group_id UUID, 
	is_clear BOOLEAN NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	user_id UUID, 
	rows INTEGER NOT NULL, 
	size INTEGER DEFAULT 0 NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	job_id UUID, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	expires_at TIMESTAMP WITH TIME ZONE, 
	wish BYTEA, 
	CONSTRAINT pk_export_file PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_export_file_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_export_file_file_state CHECK (state IN ('waiting', 'ready', 'expired'))
);

CREATE TABLE dougong.gateway (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	transport VARCHAR(40) NOT NULL, 
	host VARCHAR(120) NOT NULL, 
	port INTEGER NOT NULL, 
	timeout_s NUMERIC(8, 3) NOT NULL, 
	settle_s NUMERIC(8, 3) NOT NULL, 
	trust VARCHAR(40) DEFAULT 'none' NOT NULL, 
	certificate_name VARCHAR(120) DEFAULT '' NOT NULL, 
	authorities TEXT DEFAULT '' NOT NULL, 
	certificate_sha256 VARCHAR(100) DEFAULT '' NOT NULL, 
	is_enabled BOOLEAN DEFAULT true NOT NULL, 
	identity BYTEA, 
	CONSTRAINT pk_gateway PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_gateway_community_id_name UNIQUE (community_id, name), 
	CONSTRAINT ck_gateway_port CHECK (port between 0 and 65535), 
	CONSTRAINT ck_gateway_times CHECK (timeout_s > 0 and settle_s >= 0), 
	CONSTRAINT fk_gateway_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_gateway_transport CHECK (transport IN ('tcp', 'rtu_tcp', 'http_push', 'mqtt_push')), 
	CONSTRAINT ck_gateway_trust CHECK (trust IN ('none', 'authority', 'pinned'))
);

CREATE TABLE dougong.idempotent_answer (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	actor_id UUID NOT NULL, 
	key VARCHAR(255) NOT NULL, 
	request_hash BYTEA NOT NULL, 
	answered_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	status SMALLINT NOT NULL, 
	location VARCHAR(300), 
	tag VARCHAR(80), 
	body BYTEA, 
	CONSTRAINT pk_idempotent_answer PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_idempotent_answer_community_id_actor_id_key UNIQUE (community_id, actor_id, key), 
	CONSTRAINT fk_idempotent_answer_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_idempotent_answer_answered_at ON dougong.idempotent_answer (community_id, answered_at);

CREATE TABLE dougong.import_mapping (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	view VARCHAR(120) NOT NULL, 
	head VARCHAR(64) NOT NULL, 
	plan JSONB NOT NULL, 
	used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_import_mapping PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_import_mapping_community_id_view_head UNIQUE (community_id, view, head), 
	CONSTRAINT fk_import_mapping_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.import_run (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	view VARCHAR(120) NOT NULL, 
	user_id UUID, 
	digest VARCHAR(64) NOT NULL, 
	lines INTEGER NOT NULL, 
	plan JSONB NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	only_good BOOLEAN DEFAULT false NOT NULL, 
	done INTEGER DEFAULT 0 NOT NULL, 
	counts JSONB DEFAULT '{}' NOT NULL, 
	message VARCHAR(400) DEFAULT '' NOT NULL, 
	job_id UUID, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	written_at TIMESTAMP WITH TIME ZONE, 
	file_name BYTEA, 
	CONSTRAINT pk_import_run PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_import_run_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_import_run_run_state CHECK (state IN ('draft', 'trying', 'tried', 'writing', 'done', 'undoing', 'undone'))
);

CREATE INDEX ix_import_run_view ON dougong.import_run (community_id, view, id);

CREATE TABLE dougong.job (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	service VARCHAR(120) NOT NULL, 
	arguments JSONB NOT NULL, 
	user_id UUID, 
	mac BYTEA NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	done INTEGER DEFAULT 0 NOT NULL, 
	total INTEGER, 
	message VARCHAR(200) DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	error TEXT, 
	result JSONB, 
	is_cancel_wanted BOOLEAN DEFAULT false NOT NULL, 
	asked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	started_at TIMESTAMP WITH TIME ZONE, 
	ended_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_job PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_job_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_job_job_state CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled'))
);

CREATE INDEX ix_job_asked ON dougong.job (community_id, id) WHERE user_id is not null;

CREATE INDEX ix_job_state ON dougong.job (community_id, state);

CREATE TABLE dougong.message_template (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	template VARCHAR(80) NOT NULL, 
	locale VARCHAR(20) NOT NULL, 
	subject VARCHAR(200) NOT NULL, 
	body TEXT NOT NULL, 
	CONSTRAINT pk_message_template PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_message_template_community_id_template_locale UNIQUE (community_id, template, locale), 
	CONSTRAINT fk_message_template_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.outbox_event (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	ids JSONB NOT NULL, 
	at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_outbox_event PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_outbox_event_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
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

CREATE TABLE dougong.schedule (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	job VARCHAR(60) NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_schedule PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_schedule_community_id_plugin_job UNIQUE (community_id, plugin, job), 
	CONSTRAINT fk_schedule_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.webhook_subscription (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	name VARCHAR(120) NOT NULL, 
	url VARCHAR(500) NOT NULL, 
	events VARCHAR(2000) DEFAULT '*' NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	failing_since TIMESTAMP WITH TIME ZONE, 
	secret BYTEA NOT NULL, 
	CONSTRAINT pk_webhook_subscription PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_webhook_subscription_community_id_name UNIQUE (community_id, name), 
	CONSTRAINT fk_webhook_subscription_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.consent (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID NOT NULL, 
	purpose VARCHAR(200) NOT NULL, 
	notice_hash VARCHAR(64) NOT NULL, 
	channel VARCHAR(40) NOT NULL, 
	given_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	withdrawn_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_consent PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_consent_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_consent_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_consent_person_id ON dougong.consent (community_id, person_id);

CREATE TABLE dougong.contact_point (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID, 
	user_id UUID, 
	channel VARCHAR(20) NOT NULL, 
	locale VARCHAR(20) NOT NULL, 
	is_active BOOLEAN DEFAULT true NOT NULL, 
	address BYTEA NOT NULL, 
	address_index BYTEA, 
	CONSTRAINT pk_contact_point PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_contact_point_one_recipient CHECK ((person_id is null) <> (user_id is null)), 
	CONSTRAINT fk_contact_point_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_contact_point_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_contact_point_address_index ON dougong.contact_point (community_id, address_index);

CREATE INDEX ix_contact_point_person_id ON dougong.contact_point (community_id, person_id);

CREATE INDEX ix_contact_point_user_id ON dougong.contact_point (community_id, user_id);

CREATE TABLE dougong.device (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	gateway_id UUID NOT NULL, 
	building_id UUID, 
	name VARCHAR(80) NOT NULL, 
	driver VARCHAR(60) NOT NULL, 
	profile VARCHAR(60) NOT NULL, 
	settings JSONB DEFAULT '{}' NOT NULL, 
	serial VARCHAR(40), 
	poll_s INTEGER NOT NULL, 
	is_vital BOOLEAN DEFAULT false NOT NULL, 
	is_enabled BOOLEAN DEFAULT true NOT NULL, 
	push_key VARCHAR(80), 
	simulation JSONB, 
	secrets BYTEA, 
	CONSTRAINT pk_device PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_community_id_name UNIQUE (community_id, name), 
	CONSTRAINT ck_device_poll_s CHECK (poll_s > 0), 
	CONSTRAINT fk_device_gateway_id FOREIGN KEY(community_id, gateway_id) REFERENCES dougong.gateway (community_id, id), 
	CONSTRAINT fk_device_building_id FOREIGN KEY(community_id, building_id) REFERENCES dougong.building (community_id, id), 
	CONSTRAINT fk_device_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_device_building_id ON dougong.device (community_id, building_id);

CREATE INDEX ix_device_gateway_id ON dougong.device (community_id, gateway_id);

CREATE UNIQUE INDEX uq_device_push_key ON dougong.device (community_id, push_key) WHERE push_key is not null;

CREATE TABLE dougong.event_delivery (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	event_id UUID NOT NULL, 
	plugin VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	error TEXT, 
	CONSTRAINT pk_event_delivery PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_event_delivery_event_id FOREIGN KEY(community_id, event_id) REFERENCES dougong.outbox_event (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_event_delivery_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_event_delivery_event_state CHECK (state IN ('waiting', 'delivered', 'failed', 'skipped'))
);

CREATE INDEX ix_event_delivery_due ON dougong.event_delivery (due_at) WHERE state = 'waiting';

CREATE INDEX ix_event_delivery_event_id ON dougong.event_delivery (community_id, event_id);

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

CREATE TABLE dougong.import_row (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	run_id UUID NOT NULL, 
	number INTEGER NOT NULL, 
	subject_kind VARCHAR(130) NOT NULL, 
	subject_id UUID NOT NULL, 
	before BYTEA, 
	CONSTRAINT pk_import_row PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_import_row_run_id FOREIGN KEY(community_id, run_id) REFERENCES dougong.import_run (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_import_row_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_import_row_run_id ON dougong.import_row (community_id, run_id);

CREATE INDEX ix_import_row_subject ON dougong.import_row (community_id, subject_kind, subject_id);

CREATE TABLE dougong.message (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID, 
	user_id UUID, 
	template VARCHAR(80) NOT NULL, 
	key VARCHAR(120), 
	locale VARCHAR(20) NOT NULL, 
	link VARCHAR(300), 
	is_urgent BOOLEAN DEFAULT false NOT NULL, 
	created_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	read_at TIMESTAMP WITH TIME ZONE, 
	subject BYTEA NOT NULL, 
	body BYTEA NOT NULL, 
	CONSTRAINT pk_message PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_message_one_recipient CHECK ((person_id is null) <> (user_id is null)), 
	CONSTRAINT uq_message_community_id_key UNIQUE (community_id, key), 
	CONSTRAINT fk_message_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_message_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_message_person_id ON dougong.message (community_id, person_id);

CREATE INDEX ix_message_unread_person ON dougong.message (community_id, person_id) WHERE read_at is null;

CREATE INDEX ix_message_unread_user ON dougong.message (community_id, user_id) WHERE read_at is null;

CREATE INDEX ix_message_user_id ON dougong.message (community_id, user_id, id);

CREATE TABLE dougong.privacy_request (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	asked_on DATE NOT NULL, 
	due_on DATE NOT NULL, 
	reminded_on DATE, 
	answered_at TIMESTAMP WITH TIME ZONE, 
	note VARCHAR(500), 
	answer VARCHAR(500), 
	CONSTRAINT pk_privacy_request PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_privacy_request_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_privacy_request_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_privacy_request_request_kind CHECK (kind IN ('copy', 'correction', 'erasure', 'restriction')), 
	CONSTRAINT ck_privacy_request_request_state CHECK (state IN ('open', 'answered', 'refused'))
);

CREATE INDEX ix_privacy_request_person_id ON dougong.privacy_request (community_id, person_id);

CREATE TABLE dougong.restriction (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID NOT NULL, 
	since_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_restriction PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_restriction_community_id_person_id UNIQUE (community_id, person_id), 
	CONSTRAINT fk_restriction_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_restriction_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_restriction_person_id ON dougong.restriction (community_id, person_id);

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

CREATE TABLE dougong.webhook_delivery (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	subscription_id UUID NOT NULL, 
	event_id UUID NOT NULL, 
	event VARCHAR(80) NOT NULL, 
	ids JSONB NOT NULL, 
	happened_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	status SMALLINT, 
	error VARCHAR(300), 
	CONSTRAINT pk_webhook_delivery PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_webhook_delivery_community_id_subscription_id_event_id UNIQUE (community_id, subscription_id, event_id), 
	CONSTRAINT fk_webhook_delivery_subscription_id FOREIGN KEY(community_id, subscription_id) REFERENCES dougong.webhook_subscription (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_webhook_delivery_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_webhook_delivery_webhook_state CHECK (state IN ('waiting', 'delivered', 'failed'))
);

CREATE INDEX ix_webhook_delivery_due ON dougong.webhook_delivery (community_id, due_at) WHERE state = 'waiting';

CREATE TABLE dougong.device_command (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	device_id UUID NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	arguments JSONB DEFAULT '{}' NOT NULL, 
	ground VARCHAR(40), 
	state VARCHAR(40) NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	policy VARCHAR(200), 
	requires JSONB DEFAULT '[]' NOT NULL, 
	ordered_by_id UUID, 
	ordered_by VARCHAR(80) NOT NULL, 
	ordered_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	approved_by_id UUID, 
	approved_by VARCHAR(80), 
	approve_until_at TIMESTAMP WITH TIME ZONE, 
	deadline_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	sent_at TIMESTAMP WITH TIME ZONE, 
	ended_at TIMESTAMP WITH TIME ZONE, 
	readback VARCHAR(200), 
	detail VARCHAR(400) NOT NULL, 
	raw VARCHAR(600) NOT NULL, 
	CONSTRAINT pk_device_command PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_device_command_device_id FOREIGN KEY(community_id, device_id) REFERENCES dougong.device (community_id, id), 
	CONSTRAINT fk_device_command_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_device_command_ground CHECK (ground IN ('energy_arrears', 'dormitory_rule', 'safety', 'resident_request', 'meter_work', 'property_fees')), 
	CONSTRAINT ck_device_command_command_state CHECK (state IN ('proposed', 'queued', 'sent', 'acked', 'confirmed', 'rejected', 'failed', 'unknown', 'expired', 'withdrawn'))
);

CREATE INDEX ix_device_command_device_id ON dougong.device_command (community_id, device_id);

CREATE INDEX ix_device_command_open ON dougong.device_command (community_id, deadline_at) WHERE state in ('proposed', 'queued', 'sent', 'unknown');

CREATE TABLE dougong.device_event (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	device_id UUID NOT NULL, 
	type VARCHAR(60) NOT NULL, 
	key VARCHAR(120) NOT NULL, 
	device_at TIMESTAMP WITH TIME ZONE, 
	server_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	data JSONB NOT NULL, 
	CONSTRAINT pk_device_event PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_event_community_id_device_id_key UNIQUE (community_id, device_id, key), 
	CONSTRAINT fk_device_event_device_id FOREIGN KEY(community_id, device_id) REFERENCES dougong.device (community_id, id), 
	CONSTRAINT fk_device_event_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.device_hour (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	device_id UUID NOT NULL, 
	point VARCHAR(60) NOT NULL, 
	hour_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	lowest NUMERIC(24, 6) NOT NULL, 
	highest NUMERIC(24, 6) NOT NULL, 
	last NUMERIC(24, 6) NOT NULL, 
	CONSTRAINT pk_device_hour PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_hour_community_id_device_id_point_hour_at UNIQUE (community_id, device_id, point, hour_at), 
	CONSTRAINT fk_device_hour_device_id FOREIGN KEY(community_id, device_id) REFERENCES dougong.device (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_device_hour_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_device_hour_hour_at ON dougong.device_hour (community_id, hour_at);

CREATE TABLE dougong.device_list (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	device_id UUID NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	version INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	changed_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	changed_by VARCHAR(80) NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	entries BYTEA, 
	CONSTRAINT pk_device_list PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_list_community_id_device_id_name UNIQUE (community_id, device_id, name), 
	CONSTRAINT fk_device_list_device_id FOREIGN KEY(community_id, device_id) REFERENCES dougong.device (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_device_list_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.device_point (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	device_id UUID NOT NULL, 
	point VARCHAR(60) NOT NULL, 
	subject_kind VARCHAR(60) NOT NULL, 
	subject_id UUID NOT NULL, 
	CONSTRAINT pk_device_point PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_point_community_id_device_id_point UNIQUE (community_id, device_id, point), 
	CONSTRAINT fk_device_point_device_id FOREIGN KEY(community_id, device_id) REFERENCES dougong.device (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_device_point_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_device_point_subject_id ON dougong.device_point (community_id, subject_id);

CREATE TABLE dougong.device_value (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	device_id UUID NOT NULL, 
	point VARCHAR(60) NOT NULL, 
	point_kind VARCHAR(40) NOT NULL, 
	uom VARCHAR(20) NOT NULL, 
	value VARCHAR(200), 
	value_at TIMESTAMP WITH TIME ZONE, 
	quality VARCHAR(40) NOT NULL, 
	detail VARCHAR(200) NOT NULL, 
	device_at TIMESTAMP WITH TIME ZONE, 
	server_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	sequence BIGINT NOT NULL, 
	CONSTRAINT pk_device_value PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_value_community_id_device_id_point UNIQUE (community_id, device_id, point), 
	CONSTRAINT fk_device_value_device_id FOREIGN KEY(community_id, device_id) REFERENCES dougong.device (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_device_value_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_device_value_point_kind CHECK (point_kind IN ('gauge', 'counter', 'state', 'setpoint', 'text')), 
	CONSTRAINT ck_device_value_quality CHECK (quality IN ('good', 'uncertain', 'stale', 'bad_comm', 'bad_data', 'bad_config'))
)
 WITH (fillfactor = 60);

CREATE TABLE dougong.message_attachment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	message_id UUID NOT NULL, 
	filename VARCHAR(200) NOT NULL, 
	media_type VARCHAR(100) NOT NULL, 
	content BYTEA NOT NULL, 
	CONSTRAINT pk_message_attachment PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_message_attachment_message_id FOREIGN KEY(community_id, message_id) REFERENCES dougong.message (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_message_attachment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_message_attachment_message_id ON dougong.message_attachment (community_id, message_id);

CREATE TABLE dougong.message_delivery (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	message_id UUID NOT NULL, 
	channel VARCHAR(20) NOT NULL, 
	rank INTEGER NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	due_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	attempts INTEGER NOT NULL, 
	sent_at TIMESTAMP WITH TIME ZONE, 
	provider_id VARCHAR(200), 
	detail VARCHAR(200) NOT NULL, 
	address BYTEA, 
	CONSTRAINT pk_message_delivery PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_message_delivery_community_id_message_id_channel UNIQUE (community_id, message_id, channel), 
	CONSTRAINT fk_message_delivery_message_id FOREIGN KEY(community_id, message_id) REFERENCES dougong.message (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_message_delivery_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_message_delivery_delivery_state CHECK (state IN ('standby', 'waiting', 'sent', 'failed'))
);

CREATE INDEX ix_message_delivery_due ON dougong.message_delivery (community_id, due_at) WHERE state = 'waiting';

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

CREATE TABLE dougong.device_list_state (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	list_id UUID NOT NULL, 
	version INTEGER NOT NULL, 
	is_same BOOLEAN NOT NULL, 
	held INTEGER, 
	checked_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	next_try_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	failures INTEGER NOT NULL, 
	detail VARCHAR(200) NOT NULL, 
	CONSTRAINT pk_device_list_state PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_device_list_state_community_id_list_id UNIQUE (community_id, list_id), 
	CONSTRAINT fk_device_list_state_list_id FOREIGN KEY(community_id, list_id) REFERENCES dougong.device_list (community_id, id) ON DELETE CASCADE, 
	CONSTRAINT fk_device_list_state_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE dougong.occupancy (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	room_id UUID NOT NULL, 
	person_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	bed VARCHAR(10), 
	pays_fees BOOLEAN DEFAULT false NOT NULL, 
	from_on DATE NOT NULL, 
	to_on DATE, 
	CONSTRAINT pk_occupancy PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_occupancy_period CHECK (to_on is null or to_on > from_on), 
	CONSTRAINT ck_occupancy_bed CHECK (bed <> '' and (bed is null or kind = 'bed')), 
	CONSTRAINT ex_occupancy_bed EXCLUDE USING gist (community_id WITH =, room_id WITH =, bed WITH =, daterange(from_on, to_on) WITH &&) WHERE (bed is not null), 
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

-- The audit log: rows get into it by statement-level triggers only, whoever writes and however.
-- One event per row up to fifty rows of a statement, above that one digest per community. The
-- body is JSON text; it is what the sealer hashes, and the other columns only repeat it.
-- The chain of an event is its community's, else its group's, else the platform's (nil).

create function dougong.audit_key(image jsonb) returns text
language sql immutable parallel safe
as $$ select coalesce(image ->> 'id', image::text) $$;

create function dougong.audit_chain_of(image jsonb) returns uuid
language sql immutable parallel safe
as $$
    select coalesce(image ->> 'community_id', image ->> 'group_id',
                    '00000000-0000-0000-0000-000000000000')::uuid
$$;

-- What opens something must not lie in a log that is kept for years: only that it changed is said.
create function dougong.audit_hidden(image jsonb) returns jsonb
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select jsonb_object_agg(key, case
        when key in ('password_hash', 'token_hash', 'wrapped') and value <> 'null'
        then to_jsonb('sha256:' || left(encode(sha256(convert_to(value::text, 'UTF8')), 'hex'), 16))
        else value end)
    from jsonb_each(image)
$$;

create function dougong.audit_image(image jsonb) returns jsonb
language sql immutable parallel safe
as $$
    select case when image ?| array['password_hash', 'token_hash', 'wrapped']
                then dougong.audit_hidden(image) else image end
$$;

-- The body: what every event says, and after it what this one says (an object that is not empty).
-- It is expanded into the statement that calls it. JSON writes the time as it is in UTC, which the
-- trigger sets; `to_char` would cost more than everything else here.
create function dougong.audit_body(
    event_id uuid, chain uuid, now_at timestamptz, schema_name text, table_name text, row_key text,
    operation text, facts json
) returns text language sql stable
as $$
    select rtrim(json_build_object(
        'id', event_id, 'chain', chain, 'xid', pg_current_xact_id()::text, 'at', now_at,
        'actor', dougong.actor_id(), 'login', session_user,
        'verb', coalesce(current_setting('dougong.verb', true), ''),
        'reason', coalesce(current_setting('dougong.reason', true), ''),
        'request', coalesce(current_setting('dougong.request_id', true), ''),
        'table', schema_name || '.' || table_name, 'row', row_key, 'operation', operation)::text, '}')
        || ', ' || substr(facts::text, 2)
$$;

create function dougong.audit_append(
    chain uuid, schema_name text, table_name text, operation text, row_key text, facts json
) returns void language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
begin
    with event as (
        insert into dougong.audit_event (id, chain_id, txid, at, actor_id, verb, schema_name,
                                         table_name, row_id, operation, body)
        select e.id, chain, pg_current_xact_id(), e.at, dougong.actor_id(),
               coalesce(current_setting('dougong.verb', true), ''), schema_name, table_name, row_key,
               operation, dougong.audit_body(e.id, chain, e.at, schema_name, table_name, row_key,
                                             operation, facts)
        from (select uuidv7() as id, clock_timestamp() as at) e
        returning id)
    insert into dougong.audit_pending (id) select id from event;
end $$;
revoke all on function dougong.audit_append(uuid, text, text, text, text, json) from public;

-- What one row adds to the balance of its table (see below): digest null where it is not there.
create function dougong.audit_net(was bytea, is_now bytea) returns jsonb
language sql immutable parallel safe
as $$
    select jsonb_build_array((is_now is not null)::integer - (was is not null)::integer,
        coalesce(substr(is_now, 1, 8)::bigint::numeric, 0) - coalesce(substr(was, 1, 8)::bigint, 0),
        coalesce(substr(is_now, 9, 8)::bigint::numeric, 0) - coalesce(substr(was, 9, 8)::bigint, 0))
$$;

create function dougong.audit_change(
    schema_name text, table_name text, before jsonb, after jsonb, was bytea, is_now bytea
) returns void language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    here uuid := dougong.audit_chain_of(coalesce(before, after));
begin
    if was = is_now then
        return;
    elsif here is distinct from dougong.audit_chain_of(coalesce(after, before)) then
        perform dougong.audit_change(schema_name, table_name, before, null, was, null);
        perform dougong.audit_change(schema_name, table_name, null, after, null, is_now);
        return;
    end if;
    before := dougong.audit_image(before);
    after := dougong.audit_image(after);
    perform dougong.audit_append(here, schema_name, table_name, 'UPDATE',
        dougong.audit_key(coalesce(before, after)), json_build_object('old', before, 'new', (
            select jsonb_object_agg(key, value) from jsonb_each(after)
            where before is null or before -> key is distinct from value),
            'net', dougong.audit_net(was, is_now), 'salt', gen_random_uuid()));
end $$;
revoke all on function dougong.audit_change(text, text, jsonb, jsonb, bytea, bytea) from public;

-- Every event carries its "net": by how much it moved the number of rows of its table and the two
-- sums over SHA-256 of their texts. The nets of a log add up to what lies in the table, or somebody
-- wrote past the triggers. The settings make the text of a row the same in every session.
-- What happens all day is one statement and nothing around it: each further statement, loop or call
-- costs as much here as an insert. Whatever that statement leaves out comes below it.
create function dougong.audit_rows() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 as $$
declare
    image_limit constant integer := 50;
    platform constant text := '''00000000-0000-0000-0000-000000000000''::uuid';
    -- OFFSET 0: otherwise the planner hashes a row once for each of the sums.
    side constant text := 'select chain, %s as way, count(*) as rows,'
        ' sum(substr(d, 1, 8)::bigint) as first, sum(substr(d, 9, 8)::bigint) as second'
        ' from (select %s as chain, sha256(convert_to(r::text, ''UTF8'')) as d from %I r offset 0) r'
        ' group by 1';
    sums constant text := 'select chain, max(rows) as rows, json_build_array(sum(way * rows),'
        ' sum(way * first), sum(way * second)) as net from (%s) s group by 1';
    chain text;
    affected bigint;
    item record;
begin
    if tg_op = 'INSERT' then
        with event as (
            insert into dougong.audit_event (id, chain_id, txid, at, actor_id, verb, schema_name,
                                             table_name, row_id, operation, body)
            select e.id, dougong.audit_chain_of(e.image), pg_current_xact_id(), e.at,
                   dougong.actor_id(), coalesce(current_setting('dougong.verb', true), ''),
                   tg_table_schema, tg_table_name, dougong.audit_key(e.image), tg_op,
                   dougong.audit_body(
                       e.id, dougong.audit_chain_of(e.image), e.at, tg_table_schema, tg_table_name,
                       dougong.audit_key(e.image), tg_op, json_build_object(
                           'new', dougong.audit_image(e.image),
                           'net', dougong.audit_net(null, e.d), 'salt', gen_random_uuid()))
            from (select uuidv7() as id, clock_timestamp() as at, to_jsonb(r) as image,
                         sha256(convert_to(r::text, 'UTF8')) as d
                  from new_rows r where not exists (select from new_rows offset image_limit)) e
            returning id)
        insert into dougong.audit_pending (id) select id from event;
    elsif tg_op = 'UPDATE' then
        with event as (
            insert into dougong.audit_event (id, chain_id, txid, at, actor_id, verb, schema_name,
                                             table_name, row_id, operation, body)
            select e.id, dougong.audit_chain_of(e.before), pg_current_xact_id(), e.at,
                   dougong.actor_id(), coalesce(current_setting('dougong.verb', true), ''),
                   tg_table_schema, tg_table_name, dougong.audit_key(e.before), tg_op,
                   dougong.audit_body(
                       e.id, dougong.audit_chain_of(e.before), e.at, tg_table_schema, tg_table_name,
                       dougong.audit_key(e.before), tg_op, json_build_object(
                           'old', e.before, 'new', (
                               select jsonb_object_agg(key, value) from jsonb_each(e.after)
                               where e.before -> key is distinct from value),
                           'net', dougong.audit_net(e.was, e.is_now), 'salt', gen_random_uuid()))
            from (select uuidv7() as id, clock_timestamp() as at,
                         to_jsonb(o) as before, sha256(convert_to(o::text, 'UTF8')) as was,
                         to_jsonb(n) as after, sha256(convert_to(n::text, 'UTF8')) as is_now
                  from old_rows o, new_rows n where not exists (select from new_rows offset 1)) e
            where e.was <> e.is_now and not e.before ?| array['password_hash', 'token_hash', 'wrapped']
                  and dougong.audit_chain_of(e.before) = dougong.audit_chain_of(e.after)
            returning id)
        insert into dougong.audit_pending (id) select id from event;
    end if;
    if found then
        return null;
    elsif tg_op = 'DELETE' then
        select count(*) into affected from old_rows;
    else
        select count(*) into affected from new_rows;
    end if;
    if affected > image_limit then
        select format('coalesce(%s, %s)', string_agg(format('r.%I', attname), ', ' order by attname),
                      platform)
            into chain from pg_attribute
            where attrelid = tg_relid and attname in ('community_id', 'group_id');
        chain := coalesce(chain, platform);
        for item in execute format(sums, concat_ws(' union all ',
            case when tg_op <> 'DELETE' then format(side, 1, chain, 'new_rows') end,
            case when tg_op <> 'INSERT' then format(side, -1, chain, 'old_rows') end))
        loop
            perform dougong.audit_append(item.chain, tg_table_schema, tg_table_name, tg_op, null,
                json_build_object('rows', item.rows, 'net', item.net));
        end loop;
    elsif tg_op = 'DELETE' then
        for item in
            select to_jsonb(r) as image, sha256(convert_to(r::text, 'UTF8')) as d
            from old_rows r
            order by case when affected > 1 then dougong.audit_key(to_jsonb(r)) end
        loop
            perform dougong.audit_append(dougong.audit_chain_of(item.image),
                tg_table_schema, tg_table_name, tg_op, dougong.audit_key(item.image),
                json_build_object('old', dougong.audit_image(item.image),
                    'net', dougong.audit_net(item.d, null), 'salt', gen_random_uuid()));
        end loop;
    elsif tg_op = 'UPDATE' then
        -- A row that changes its community leaves one chain and comes into another.
        for item in
            select b.image as before, a.image as after, b.d as was, a.d as is_now
            from (select to_jsonb(r) as image, sha256(convert_to(r::text, 'UTF8')) as d
                  from old_rows r) b
            full join (select to_jsonb(r) as image, sha256(convert_to(r::text, 'UTF8')) as d
                       from new_rows r) a
                on case affected when 1 then '' else dougong.audit_key(a.image) end
                   = case affected when 1 then '' else dougong.audit_key(b.image) end
            order by dougong.audit_key(coalesce(a.image, b.image))
        loop
            perform dougong.audit_change(tg_table_schema, tg_table_name, item.before, item.after,
                                         item.was, item.is_now);
        end loop;
    end if;
    return null;
end $$;
revoke all on function dougong.audit_rows() from public;

-- An erased person's images leave the log, and the salt that keeps them from being guessed from the
-- hash that stays in the chain. The erasure is itself an event that names each emptied one with the
-- hash of what is left of it. Nothing else can change a body.
create function dougong.audit_emptied(body text, erasure uuid) returns text
language sql immutable parallel safe
as $$
    select ((body::jsonb - array['old', 'new', 'salt']) || jsonb_build_object('erasure', erasure))::text
$$;

create function dougong.audit_redact(erasure uuid) returns bigint language plpgsql volatile
security definer set search_path = pg_catalog, pg_temp as $$
declare
    changed bigint;
begin
    update dougong.audit_event e
    set body = dougong.audit_emptied(e.body, erasure)
    from dougong.erasure x cross join lateral
         jsonb_object_keys(x.audit_events) as named (event_id)
    where x.id = erasure and e.id = named.event_id::uuid and e.chain_id = x.community_id
      and not e.body::jsonb ? 'erasure';
    get diagnostics changed = row_count;
    return changed;
end $$;
revoke all on function dougong.audit_redact(uuid) from public;
grant execute on function dougong.audit_redact(uuid) to dougong_platform;

-- What lies in a table, by chain (of all or only one): rows and sums, in the terms of the nets.
create function dougong.audit_balance(target regclass, only_chain uuid default null)
returns table (chain uuid, rows bigint, first numeric, second numeric)
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
set datestyle = 'ISO, YMD' set intervalstyle = 'postgres' set bytea_output = 'hex'
set extra_float_digits = 1 as $$
declare
    here text;
begin
    select case count(*) when 0 then '''00000000-0000-0000-0000-000000000000''::uuid'
                when 1 then min(format('r.%I', attname))
                else 'coalesce(r.community_id, r.group_id)' end into here
        from pg_attribute where attrelid = target and attname in ('community_id', 'group_id');
    return query execute format(
        'select chain, count(*), sum(substr(d, 1, 8)::bigint), sum(substr(d, 9, 8)::bigint)'
        ' from (select %1$s as chain, sha256(convert_to(r::text, ''UTF8'')) as d from %2$s r %3$s'
        ' offset 0) r group by 1',
        here, target, case when only_chain is not null then format('where %s = %L', here, only_chain) end);
end $$;

-- A migration that gives rows another text: measure before, measure again after, and log the
-- difference, less what its own statements have logged. Writers wait for its lock.
create function dougong.audit_measure(target regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
    create temporary table if not exists audit_measured
        (target oid, chain uuid, rows bigint, first numeric, second numeric) on commit drop;
    insert into pg_temp.audit_measured select target, b.* from dougong.audit_balance(target) b;
end $$;

create function dougong.audit_remeasure(target regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    place record;
    item record;
begin
    select n.nspname as schema_name, c.relname as table_name into place
        from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = target;
    for item in
        select s.chain, sum(s.rows) as rows, sum(s.first) as first, sum(s.second) as second from (
            select b.chain, b.rows, b.first, b.second from dougong.audit_balance(target) b
            union all
            select m.chain, -m.rows, -m.first, -m.second from pg_temp.audit_measured m
                where m.target = audit_remeasure.target
            union all
            select e.chain_id, -(e.body::jsonb -> 'net' ->> 0)::bigint,
                   -(e.body::jsonb -> 'net' ->> 1)::numeric, -(e.body::jsonb -> 'net' ->> 2)::numeric
                from dougong.audit_pending p join dougong.audit_event e on e.id = p.id
                where e.txid = pg_current_xact_id_if_assigned()
                  and (e.schema_name, e.table_name) = (place.schema_name, place.table_name)) s
        group by s.chain having sum(s.rows) <> 0 or sum(s.first) <> 0 or sum(s.second) <> 0
    loop
        perform dougong.audit_append(item.chain, place.schema_name, place.table_name, 'RESHAPE', null,
            json_build_object('net', json_build_array(item.rows, item.first, item.second)));
    end loop;
    delete from pg_temp.audit_measured m where m.target = audit_remeasure.target;
end $$;
revoke all on function dougong.audit_measure(regclass) from public;
revoke all on function dougong.audit_remeasure(regclass) from public;

-- Jobs wait in procrastinate's tables (procrastinate 3.10, MIT licence, its schema.sql from "Enums"
-- on, word for word: tests compare). What is ours follows at the end.

-- Enums

CREATE TYPE procrastinate_job_status AS ENUM (
    'todo',  -- The job is queued
    'doing',  -- The job has been fetched by a worker
    'succeeded',  -- The job ended successfully
    'failed',  -- The job ended with an error
    'cancelled', -- The job was cancelled
    'aborting',  -- legacy, not used anymore since v3.0.0
    'aborted'  -- The job was aborted
);

CREATE TYPE procrastinate_job_event_type AS ENUM (
    'deferred',  -- Job created, in todo
    'started',  -- todo -> doing
    'deferred_for_retry',  -- doing -> todo
    'failed',  -- doing -> failed
    'succeeded',  -- doing -> succeeded
    'cancelled', -- todo -> cancelled
    'abort_requested', -- not a state transition, but set in a separate field
    'aborted', -- doing -> aborted (only allowed when abort_requested field is set)
    'scheduled', -- not a state transition, but recording when a task is scheduled for
    'retried' -- Manually retried failed job
);

-- Composite Types

CREATE TYPE procrastinate_job_to_defer_v1 AS (
    queue_name character varying,
    task_name character varying,
    priority integer,
    lock text,
    queueing_lock text,
    args jsonb,
    scheduled_at timestamp with time zone
);

-- Tables

CREATE TABLE procrastinate_workers(
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    last_heartbeat timestamp with time zone NOT NULL DEFAULT NOW()
);

CREATE TABLE procrastinate_jobs (
    id bigserial PRIMARY KEY,
    queue_name character varying(128) NOT NULL,
    task_name character varying(128) NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb DEFAULT '{}' NOT NULL,
    status procrastinate_job_status DEFAULT 'todo'::procrastinate_job_status NOT NULL,
    scheduled_at timestamp with time zone NULL,
    attempts integer DEFAULT 0 NOT NULL,
    abort_requested boolean DEFAULT false NOT NULL,
    worker_id bigint REFERENCES procrastinate_workers(id) ON DELETE SET NULL,
    CONSTRAINT check_not_todo_abort_requested CHECK (NOT (status = 'todo' AND abort_requested = true))
);

CREATE TABLE procrastinate_periodic_defers (
    id bigserial PRIMARY KEY,
    task_name character varying(128) NOT NULL,
    defer_timestamp bigint,
    job_id bigint REFERENCES procrastinate_jobs(id) NULL,
    periodic_id character varying(128) NOT NULL DEFAULT '',
    CONSTRAINT procrastinate_periodic_defers_unique UNIQUE (task_name, periodic_id, defer_timestamp)
);

CREATE TABLE procrastinate_events (
    id bigserial PRIMARY KEY,
    job_id bigint NOT NULL REFERENCES procrastinate_jobs ON DELETE CASCADE,
    type procrastinate_job_event_type,
    at timestamp with time zone DEFAULT NOW() NULL
);

-- Constraints & Indices

-- this prevents from having several jobs with the same queueing lock in the "todo" state
CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs (queueing_lock) WHERE status = 'todo';
-- this prevents from having several jobs with the same lock in the "doing" state
CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON procrastinate_jobs (lock) WHERE status = 'doing';

-- Index for select_stalled_jobs_by_heartbeat query
CREATE INDEX idx_procrastinate_jobs_worker_not_null ON procrastinate_jobs(worker_id) WHERE worker_id IS NOT NULL AND status = 'doing'::procrastinate_job_status;

CREATE INDEX procrastinate_jobs_queue_name_idx_v1 ON procrastinate_jobs(queue_name);
CREATE INDEX procrastinate_jobs_id_lock_idx_v1 ON procrastinate_jobs (id, lock) WHERE status = ANY (ARRAY['todo'::procrastinate_job_status, 'doing'::procrastinate_job_status]);
CREATE INDEX procrastinate_jobs_priority_idx_v1 ON procrastinate_jobs(priority desc, id asc) WHERE (status = 'todo'::procrastinate_job_status);

CREATE INDEX procrastinate_events_job_id_fkey_v1 ON procrastinate_events(job_id);

CREATE INDEX procrastinate_periodic_defers_job_id_fkey_v1 ON procrastinate_periodic_defers(job_id);

CREATE INDEX idx_procrastinate_workers_last_heartbeat ON procrastinate_workers(last_heartbeat);

-- Functions
CREATE FUNCTION procrastinate_defer_jobs_v1(
    jobs procrastinate_job_to_defer_v1[]
)
    RETURNS bigint[]
    LANGUAGE plpgsql
AS $$
DECLARE
    job_ids bigint[];
BEGIN
    WITH inserted_jobs AS (
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT (job).queue_name,
               (job).task_name,
               (job).priority,
               (job).lock,
               (job).queueing_lock,
               (job).args,
               (job).scheduled_at
        FROM unnest(jobs) AS job
        RETURNING id
    )
    SELECT array_agg(id) FROM inserted_jobs INTO job_ids;

    RETURN job_ids;
END;
$$;

CREATE FUNCTION procrastinate_defer_periodic_job_v2(
    _queue_name character varying,
    _lock character varying,
    _queueing_lock character varying,
    _task_name character varying,
    _priority integer,
    _periodic_id character varying,
    _defer_timestamp bigint,
    _args jsonb
)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
	_job_id bigint;
	_defer_id bigint;
BEGIN
    INSERT
        INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)
        VALUES (_task_name, _periodic_id, _defer_timestamp)
        ON CONFLICT DO NOTHING
        RETURNING id into _defer_id;

    IF _defer_id IS NULL THEN
        RETURN NULL;
    END IF;

    UPDATE procrastinate_periodic_defers
        SET job_id = (
            SELECT COALESCE((
                SELECT unnest(procrastinate_defer_jobs_v1(
                    ARRAY[
                        ROW(
                            _queue_name,
                            _task_name,
                            _priority,
                            _lock,
                            _queueing_lock,
                            _args,
                            NULL::timestamptz
                        )
                    ]::procrastinate_job_to_defer_v1[]
                ))
            ), NULL)
        )
        WHERE id = _defer_id
        RETURNING job_id INTO _job_id;

    DELETE
        FROM procrastinate_periodic_defers
        USING (
            SELECT id
            FROM procrastinate_periodic_defers
            WHERE procrastinate_periodic_defers.task_name = _task_name
            AND procrastinate_periodic_defers.periodic_id = _periodic_id
            AND procrastinate_periodic_defers.defer_timestamp < _defer_timestamp
            ORDER BY id
            FOR UPDATE
        ) to_delete
        WHERE procrastinate_periodic_defers.id = to_delete.id;

    RETURN _job_id;
END;
$$;

CREATE FUNCTION procrastinate_fetch_job_v2(
    target_queue_names character varying[],
    p_worker_id bigint
)
    RETURNS procrastinate_jobs
    LANGUAGE plpgsql
AS $$
DECLARE
	found_jobs procrastinate_jobs;
BEGIN
    WITH candidate AS (
        SELECT jobs.*
            FROM procrastinate_jobs AS jobs
            WHERE
                -- reject the job if its lock has earlier or higher priority jobs
                NOT EXISTS (
                    SELECT 1
                        FROM procrastinate_jobs AS other_jobs
                        WHERE
                            jobs.lock IS NOT NULL
                            AND other_jobs.lock = jobs.lock
                            AND (
                                -- job with same lock is already running
                                other_jobs.status = 'doing'
                                OR
                                -- job with same lock is waiting and has higher priority (or same priority but was queued first)
                                (
                                    other_jobs.status = 'todo'
                                    AND (
                                        other_jobs.priority > jobs.priority
                                        OR (
                                        other_jobs.priority = jobs.priority
                                        AND other_jobs.id < jobs.id
                                        )
                                    )
                                )
                            )
                )
                AND jobs.status = 'todo'
                AND (target_queue_names IS NULL OR jobs.queue_name = ANY( target_queue_names ))
                AND (jobs.scheduled_at IS NULL OR jobs.scheduled_at <= now())
            ORDER BY jobs.priority DESC, jobs.id ASC LIMIT 1
            FOR UPDATE OF jobs SKIP LOCKED
    )
    UPDATE procrastinate_jobs
        SET status = 'doing', worker_id = p_worker_id
        FROM candidate
        WHERE procrastinate_jobs.id = candidate.id
        RETURNING procrastinate_jobs.* INTO found_jobs;

 RETURN found_jobs;
END;
$$;

CREATE FUNCTION procrastinate_finish_job_v1(job_id bigint, end_status procrastinate_job_status, delete_job boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'End status should be either "succeeded", "failed" or "aborted" (job id: %)', job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = end_status,
            abort_requested = false,
            attempts = CASE status
                WHEN 'doing' THEN attempts + 1 ELSE attempts
            END
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END;
$$;

CREATE FUNCTION procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = 'todo'
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        IF abort THEN
            UPDATE procrastinate_jobs
            SET abort_requested = true,
                status = CASE status
                    WHEN 'todo' THEN 'cancelled'::procrastinate_job_status ELSE status
                END
            WHERE id = job_id AND status IN ('todo', 'doing')
            RETURNING id INTO _job_id;
        ELSE
            UPDATE procrastinate_jobs
            SET status = 'cancelled'::procrastinate_job_status
            WHERE id = job_id AND status = 'todo'
            RETURNING id INTO _job_id;
        END IF;
    END IF;
    RETURN _job_id;
END;
$$;

CREATE FUNCTION procrastinate_retry_job_v1(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
BEGIN
    SELECT abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status = 'doing'
    FOR UPDATE
    INTO _abort_requested;
    IF _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
END;
$$;

CREATE FUNCTION procrastinate_retry_job_v2(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
    _current_status procrastinate_job_status;
BEGIN
    SELECT status, abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status IN ('doing', 'failed')
    FOR UPDATE
    INTO _current_status, _abort_requested;
    IF _current_status = 'doing' AND _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status IN ('doing', 'failed')
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', job_id;
    END IF;

END;
$$;

CREATE FUNCTION procrastinate_notify_queue_job_inserted_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'job_inserted', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_notify_queue_abort_job_v1()
RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'abort_job_requested', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_status_events_insert_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'deferred'::procrastinate_job_event_type);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_status_events_update_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    WITH t AS (
        SELECT CASE
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND NEW.status = 'doing'::procrastinate_job_status
                THEN 'started'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'deferred_for_retry'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'failed'::procrastinate_job_status
                THEN 'failed'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'succeeded'::procrastinate_job_status
                THEN 'succeeded'::procrastinate_job_event_type
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND (
                    NEW.status = 'cancelled'::procrastinate_job_status
                    OR NEW.status = 'failed'::procrastinate_job_status
                    OR NEW.status = 'succeeded'::procrastinate_job_status
                )
                THEN 'cancelled'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'aborted'::procrastinate_job_status
                THEN 'aborted'::procrastinate_job_event_type
            WHEN OLD.status = 'failed'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'retried'::procrastinate_job_event_type
            ELSE NULL
        END as event_type
    )
    INSERT INTO procrastinate_events(job_id, type)
        SELECT NEW.id, t.event_type
        FROM t
        WHERE t.event_type IS NOT NULL;
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_scheduled_events_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type, at)
        VALUES (NEW.id, 'scheduled'::procrastinate_job_event_type, NEW.scheduled_at);

	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_abort_requested_events_procedure_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'abort_requested'::procrastinate_job_event_type);
    RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_unlink_periodic_defers_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE procrastinate_periodic_defers
    SET job_id = NULL
    WHERE job_id = OLD.id;
    RETURN OLD;
END;
$$;

CREATE FUNCTION procrastinate_register_worker_v1()
    RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    INSERT INTO procrastinate_workers DEFAULT VALUES
    RETURNING procrastinate_workers.id;
END;
$$;

CREATE FUNCTION procrastinate_unregister_worker_v1(worker_id bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM procrastinate_workers
    WHERE id = worker_id;
END;
$$;

CREATE FUNCTION procrastinate_update_heartbeat_v1(worker_id bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE procrastinate_workers
    SET last_heartbeat = NOW()
    WHERE id = worker_id;
END;
$$;

CREATE FUNCTION procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat float)
    RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    DELETE FROM procrastinate_workers
    WHERE last_heartbeat < NOW() - (seconds_since_heartbeat || 'SECOND')::INTERVAL
    RETURNING procrastinate_workers.id;
END;
$$;

-- Triggers

CREATE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1
    AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_notify_queue_job_inserted_v1();

CREATE TRIGGER procrastinate_jobs_notify_queue_job_aborted_v1
    AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN ((old.abort_requested = false AND new.abort_requested = true AND new.status = 'doing'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_notify_queue_abort_job_v1();

CREATE TRIGGER procrastinate_trigger_status_events_update_v1
    AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW
    EXECUTE PROCEDURE procrastinate_trigger_function_status_events_update_v1();

CREATE TRIGGER procrastinate_trigger_status_events_insert_v1
    AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_trigger_function_status_events_insert_v1();

CREATE TRIGGER procrastinate_trigger_scheduled_events_v1
    AFTER UPDATE OR INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.scheduled_at IS NOT NULL AND new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_trigger_function_scheduled_events_v1();

CREATE TRIGGER procrastinate_trigger_abort_requested_events_v1
    AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.abort_requested = true))
    EXECUTE PROCEDURE procrastinate_trigger_abort_requested_events_procedure_v1();

CREATE TRIGGER procrastinate_trigger_delete_jobs_v1
    BEFORE DELETE ON procrastinate_jobs
    FOR EACH ROW EXECUTE PROCEDURE procrastinate_unlink_periodic_defers_v1();

-- Ours: the application's role may put a job into the queue and nothing else, so that SQL which an
-- attacker manages to inject neither reads nor stops what waits; what it puts in lacks the MAC and
-- is refused by the worker.
alter function procrastinate_defer_jobs_v1(procrastinate_job_to_defer_v1[])
    security definer set search_path = dougong, pg_temp;
revoke all on function procrastinate_defer_jobs_v1(procrastinate_job_to_defer_v1[]) from public;
grant execute on function procrastinate_defer_jobs_v1(procrastinate_job_to_defer_v1[])
    to dougong_app, dougong_access, dougong_platform;
grant select, insert, update, delete on procrastinate_workers, procrastinate_jobs,
    procrastinate_periodic_defers, procrastinate_events to dougong_platform;
grant usage on sequence procrastinate_workers_id_seq, procrastinate_jobs_id_seq,
    procrastinate_periodic_defers_id_seq, procrastinate_events_id_seq to dougong_platform;
grant select on procrastinate_workers, procrastinate_jobs, procrastinate_periodic_defers,
    procrastinate_events to dougong_backup;
grant select on sequence procrastinate_workers_id_seq, procrastinate_jobs_id_seq,
    procrastinate_periodic_defers_id_seq, procrastinate_events_id_seq to dougong_backup;

-- A worker looks for jobs when one is put in, and not when a lock falls: tell it, else what waits
-- for the same lock would start with the next look only.
create function procrastinate_tell_of_fallen_lock() returns trigger language plpgsql as $$
begin
    if exists (select from procrastinate_jobs j where j.lock = old.lock and j.status = 'todo') then
        perform pg_notify('procrastinate_any_queue_v1',
                          json_build_object('type', 'job_inserted', 'job_id', old.id)::text);
    end if;
    return null;
end $$;
create trigger procrastinate_tell_of_fallen_lock_v1
    after delete on procrastinate_jobs
    for each row when (old.lock is not null and old.status = 'doing')
    execute function procrastinate_tell_of_fallen_lock();

-- Theirs keeps the order of a lock: a job that may start tomorrow, or that is tried again in an
-- hour, holds up every later one of its lock until then. Ours only keeps jobs of a lock apart.
create or replace function procrastinate_fetch_job_v2(
    target_queue_names character varying[],
    p_worker_id bigint
) returns procrastinate_jobs language plpgsql as $$
declare
    found_jobs procrastinate_jobs;
begin
    with candidate as (
        select jobs.* from procrastinate_jobs as jobs
        where not exists (
                select from procrastinate_jobs as others
                where others.lock = jobs.lock
                    and (others.status = 'doing'
                         or (others.status = 'todo'
                             and (others.scheduled_at is null or others.scheduled_at <= now())
                             and (others.priority > jobs.priority
                                  or (others.priority = jobs.priority and others.id < jobs.id)))))
            and jobs.status = 'todo'
            and (target_queue_names is null or jobs.queue_name = any(target_queue_names))
            and (jobs.scheduled_at is null or jobs.scheduled_at <= now())
        order by jobs.priority desc, jobs.id limit 1
        for update of jobs skip locked
    )
    update procrastinate_jobs set status = 'doing', worker_id = p_worker_id
    from candidate where procrastinate_jobs.id = candidate.id
    returning procrastinate_jobs.* into found_jobs;
    return found_jobs;
exception when unique_violation then
    return null;  -- another worker was quicker with a job of the same lock
end $$;
