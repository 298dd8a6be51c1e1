-- The audit log: rows get into it by statement-level triggers only, whoever writes and however.
-- One event per row up to fifty rows of a statement, above that one digest per community. The
-- body is JSON text; it is what the sealer hashes, and the other columns only repeat it.
-- The chain of an event is its community's, else its group's, else the platform's (nil).

create function dougong.audit_key(image jsonb) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$ select coalesce(image ->> 'id', image::text) $$;

create function dougong.audit_chain_of(image jsonb) returns uuid
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select coalesce(image ->> 'community_id', image ->> 'group_id',
                    '00000000-0000-0000-0000-000000000000')::uuid
$$;

-- What opens something must not lie in a log that is kept for years: only that it changed is said.
create function dougong.audit_image(image jsonb) returns jsonb
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
    select case when image ?| array['password_hash', 'token_hash', 'wrapped'] then (
        select jsonb_object_agg(key, case
            when key in ('password_hash', 'token_hash', 'wrapped') and value <> 'null'
            then to_jsonb('sha256:' || left(encode(sha256(convert_to(value::text, 'UTF8')), 'hex'), 16))
            else value end)
        from jsonb_each(image)) else image end
$$;

create function dougong.audit_append(
    chain uuid, schema_name text, table_name text, operation text, row_key text, facts jsonb
) returns void language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp as $$
declare
    event_id uuid := uuidv7();
    now_at timestamptz := clock_timestamp();
    xid xid8 := pg_current_xact_id();
    acting uuid := dougong.actor_id();
    verb text := coalesce(nullif(current_setting('dougong.verb', true), ''), '');
    body text;
begin
    body := (jsonb_build_object(
        'id', event_id, 'chain', chain, 'xid', xid::text,
        'at', to_char(now_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'actor', acting, 'login', session_user, 'verb', verb,
        'reason', coalesce(current_setting('dougong.reason', true), ''),
        'request', coalesce(current_setting('dougong.request_id', true), ''),
        'table', schema_name || '.' || table_name, 'row', row_key, 'operation', operation
    ) || facts)::text;
    insert into dougong.audit_event
        (id, chain_id, txid, at, actor_id, verb, schema_name, table_name, row_id, operation, body)
        values (event_id, chain, xid, now_at, acting, verb, schema_name, table_name, row_key,
                operation, body);
    insert into dougong.audit_pending (id) values (event_id);
end $$;
revoke all on function dougong.audit_append(uuid, text, text, text, text, jsonb) from public;

create function dougong.audit_rows() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
    image_limit constant integer := 50;
    platform constant text := '''00000000-0000-0000-0000-000000000000''::uuid';
    side constant text := case tg_op when 'DELETE' then 'old_rows' else 'new_rows' end;
    digests constant text := 'select %s as chain, count(*) as rows,'
        ' encode(sha256(string_agg(d.digest, '''' order by d.digest)), ''hex'') as digest'
        ' from %I r cross join lateral'
        ' (select sha256(convert_to(r::text, ''UTF8'')) as digest) d group by 1';
    chain text;
    affected bigint;
    item record;
begin
    if tg_op = 'DELETE' then
        select count(*) into affected from old_rows;
    else
        select count(*) into affected from new_rows;
    end if;
    if affected > image_limit then
        select format('coalesce(%s, %s)', string_agg(format('r.%I', attname), ', ' order by attname),
                      platform)
            into chain from pg_attribute
            where attrelid = tg_relid and attname in ('community_id', 'group_id');
        for item in execute format(digests, coalesce(chain, platform), side) loop
            perform dougong.audit_append(item.chain, tg_table_schema, tg_table_name, tg_op, null,
                jsonb_build_object('rows', item.rows, 'digest', item.digest));
        end loop;
    elsif tg_op = 'INSERT' then
        for item in
            select to_jsonb(r) as image from new_rows r order by dougong.audit_key(to_jsonb(r))
        loop
            perform dougong.audit_append(dougong.audit_chain_of(item.image),
                tg_table_schema, tg_table_name, tg_op, dougong.audit_key(item.image),
                jsonb_build_object('new', dougong.audit_image(item.image)));
        end loop;
    elsif tg_op = 'DELETE' then
        for item in
            select to_jsonb(r) as image from old_rows r order by dougong.audit_key(to_jsonb(r))
        loop
            perform dougong.audit_append(dougong.audit_chain_of(item.image),
                tg_table_schema, tg_table_name, tg_op, dougong.audit_key(item.image),
                jsonb_build_object('old', dougong.audit_image(item.image)));
        end loop;
    else
        for item in
            select coalesce(a.image, b.image) as image, dougong.audit_image(b.image) as before,
                   dougong.audit_image(a.image) as after
            from (select to_jsonb(r) as image, dougong.audit_key(to_jsonb(r)) as key
                  from old_rows r) b
            full join (select to_jsonb(r) as image, dougong.audit_key(to_jsonb(r)) as key
                       from new_rows r) a using (key)
            where b.image is distinct from a.image order by key
        loop
            perform dougong.audit_append(dougong.audit_chain_of(item.image),
                tg_table_schema, tg_table_name, tg_op, dougong.audit_key(item.image),
                jsonb_build_object('old', item.before, 'new', (
                    select jsonb_object_agg(key, value) from jsonb_each(item.after)
                    where item.before is null or item.before -> key is distinct from value)));
        end loop;
    end if;
    return null;
end $$;
revoke all on function dougong.audit_rows() from public;

-- An erased person's images leave the log; their hashes stay in the chain, and the erasure that
-- took them is itself an event that names them. Nothing else can change a body.
create function dougong.audit_redact(erasure uuid) returns bigint language plpgsql volatile
security definer set search_path = pg_catalog, pg_temp as $$
declare
    changed bigint;
begin
    update dougong.audit_event e
    set body = ((e.body::jsonb - 'old' - 'new') || jsonb_build_object('erasure', erasure))::text
    from dougong.erasure x cross join lateral
         jsonb_array_elements_text(x.audit_event_ids) as named (event_id)
    where x.id = erasure and e.id = named.event_id::uuid and e.chain_id = x.community_id
      and not e.body::jsonb ? 'erasure';
    get diagnostics changed = row_count;
    return changed;
end $$;
revoke all on function dougong.audit_redact(uuid) from public;
grant execute on function dougong.audit_redact(uuid) to dougong_platform;
