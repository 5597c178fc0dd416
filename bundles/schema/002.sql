-- Where a deployment's code begins in the .pie file it came from: errors of runs name the file's own lines. Deployments
-- from before this count from the code's first line.
alter table bundle_deployments add column code_line integer not null default 1;
