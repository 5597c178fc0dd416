// data: {"seen":"i-1 192.0.2.1"}
// meta: {"responded":true,"status":404,"headers":{"X-A":"1","Retry-After":"5"},"dataError":false,"resultError":true}
async function handler(input, context) {
  const { instanceId, visitorIp, respond } = context.publicApp;
  respond({ seen: `${instanceId} ${visitorIp}` }, { status: 404, headers: { 'X-A': 1, 'Retry-After': '5' } });
  return { error: true };
}
module.exports = { handler };
