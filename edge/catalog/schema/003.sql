-- Whether an instance ever had public files: those without (a handler alone) put nothing on the shared apps origin.
alter table instances add column serves_pages boolean not null default true;
