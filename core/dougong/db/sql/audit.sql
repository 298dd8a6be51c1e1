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
