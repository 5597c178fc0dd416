// bridge: ["managedDb.query","select",[null,null,true,1.5,"0","NaN","-Infinity","text","12345678901234567890"],{}]
// bridge: ["managedDb.query","select",[{"t":"json","v":"{\"a\":[1]}"},{"t":"date","v":"2024-01-31T12:00:00.000Z"},{"t":"bytes","v":"AQID"},{"t":"bytes","v":"AgM="},{"t":"bytes","v":"/w=="}],{}]
// bridge: ["managedDb.query","select",[{"t":"array","v":[1,"a",null,{"t":"array","v":[true]},{"t":"json","v":"{}"},{"t":"date","v":"1970-01-01T00:00:00.000Z"}]}],{"timeoutMs":50,"maxRows":7}]
// bridge: ["managedDb.query","select",[],{}]
// data: "done"
async function handler(input, { managedDb }) {
  const bytes = new Uint8Array([1, 2, 3]);
  await managedDb.query('select', [null, undefined, true, 1.5, '0', NaN, -Infinity, 'text', 12345678901234567890n]);
  await managedDb.query('select', [{ a: [1] }, new Date('2024-01-31T12:00:00Z'), bytes.buffer, bytes.subarray(1),
    new DataView(new Uint8Array([9, 255]).buffer, 1)]);
  await managedDb.query('select', [[1, 'a', undefined, [true], {}, new Date(0)]], { timeoutMs: 50, maxRows: 7, other: 1 });
  await managedDb.query('select');
  return 'done';
}
module.exports = { handler };
