// data: ["29 February 2024 at 01:00","31.12.2023","1.234,5","é","b,a"]
module.exports = {
  handler: () => [
    new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Paris', dateStyle: 'long', timeStyle: 'short' }).format(new Date('2024-02-29T00:00:00Z')),
    new Date('2024-01-01T00:00:00Z').toLocaleDateString('de', { timeZone: 'America/New_York', day: '2-digit', month: '2-digit', year: 'numeric' }),
    (1234.5).toLocaleString('de'), 'e\u0301'.normalize(), ['a', 'b'].sort((x, y) => y.localeCompare(x)).join(),
  ],
};
