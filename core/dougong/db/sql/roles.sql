-- The database roles. Run by a superuser once per server; safe to run again.
do $$
declare
    role text;
begin
    foreach role in array array['owner', 'migrator', 'app', 'access', 'platform', 'backup'] loop
        if not exists (select from pg_roles where rolname = 'dougong_' || role) then
            execute format('create role %I nologin', 'dougong_' || role);
        end if;
    end loop;
end $$;
alter role dougong_owner bypassrls;
alter role dougong_platform bypassrls;
alter role dougong_backup bypassrls;
grant dougong_owner to dougong_migrator;
alter role dougong_migrator set role to 'dougong_owner';
alter role dougong_migrator set search_path to dougong;
alter role dougong_app set search_path to dougong;
alter role dougong_access set search_path to dougong;
alter role dougong_platform set search_path to dougong;
alter role dougong_app set idle_in_transaction_session_timeout to '5min';
-- Where `dougong.enter` keeps a verified scope (scope.sql): nobody else may set it.
grant set on parameter backtrace_functions to dougong_owner;
