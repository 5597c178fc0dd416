// data: ["context.managedDb.query: the first argument is not a string of SQL","context.managedDb.query: the parameters are not an array","context.managedDb.query: $2 is a function, which no column can hold","context.managedDb.query: $1 is a symbol, which no column can hold","context.managedDb.query: $1 is an invalid Date","context.managedDb.query: $1 is an array of more than 6 dimensions"]
async function handler(input, { managedDb }) {
  const circle = [];
  circle.push(circle);
  const calls = [[5], ['select', 'a'], ['select', [1, () => 1]], ['select', [Symbol()]], ['select', [new Date(NaN)]], ['select', [circle]]];
  return Promise.all(calls.map((c) => managedDb.query(...c).then(() => 'resolved', (error) => error.message)));
}
module.exports = { handler };
