-- One role and one database that is its own, for database-roles.sh. No role of a service is a superuser.
\getenv password ROLE_PASSWORD
\o /dev/null
select format('create role %I', :'role') where not exists (select from pg_roles where rolname = :'role') \gexec
alter role :"role" with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'password';
select format('create database %I', :'database') where not exists (select from pg_database where datname = :'database')
\gexec
alter database :"database" owner to :"role";
revoke all on database :"database" from public;

\connect :"database"
alter schema public owner to :"role";
-- What a service of before made as the administrator. Sequences of columns go with their tables.
select format('alter schema %I owner to %I', nspname, :'role') from pg_namespace
  where nspname !~ '^pg_' and nspname not in ('information_schema', 'public') and pg_get_userbyid(nspowner) <> :'role'
\gexec
select format('alter table %I.%I owner to %I', nspname, relname, :'role')
  from pg_class c join pg_namespace n on n.oid = relnamespace
  where nspname !~ '^pg_' and nspname <> 'information_schema' and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and pg_get_userbyid(relowner) <> :'role'
    and not exists (select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e'))
\gexec
select format('alter type %I.%I owner to %I', nspname, typname, :'role')
  from pg_type t join pg_namespace n on n.oid = typnamespace
  where nspname !~ '^pg_' and nspname <> 'information_schema' and typtype in ('e', 'd')
    and pg_get_userbyid(typowner) <> :'role'
\gexec
select format('alter routine %I.%I(%s) owner to %I', nspname, proname, pg_get_function_identity_arguments(p.oid), :'role')
  from pg_proc p join pg_namespace n on n.oid = pronamespace
  where nspname !~ '^pg_' and nspname <> 'information_schema' and pg_get_userbyid(proowner) <> :'role'
    and not exists (select from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
\gexec
