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
