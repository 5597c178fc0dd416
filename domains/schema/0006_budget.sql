-- To wait for one's turn is no failure: the month after which orders are no longer tried by themselves begins with the first that counts.
update domain_certificates set failing_since = null where attempts = 0;
