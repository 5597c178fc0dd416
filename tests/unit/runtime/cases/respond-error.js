// data: {"error":true,"message":"no such event"}
// meta: {"responded":true,"dataError":true,"resultError":false}
async function handler(input, { publicApp }) {
  publicApp.respond({ error: true, message: 'no such event' });
  return { success: true };
}
module.exports = { handler };
