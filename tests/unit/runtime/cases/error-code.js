// error: Error: too much at once
// code: managed_db_busy
async function handler() {
  throw Object.assign(new Error('too much at once'), { code: 'managed_db_busy' });
}
module.exports = { handler };
