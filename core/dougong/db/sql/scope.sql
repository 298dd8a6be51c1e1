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
-- A backup locks every table that it describes; what is in this one it neither reads nor holds.
grant maintain on dougong.scope_key to dougong_backup;

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
