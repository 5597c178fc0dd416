-- A platform's own tokens: an admin of its owner project who may manage the platform too.
alter table api_tokens
    drop constraint api_tokens_scope_check,
    add constraint api_tokens_scope_check check (scope in ('read', 'deploy', 'admin', 'platform', 'operator'));
