// input: {"actionId":"hello","payload":{"n":1}}
// data: {"ok":true,"input":{"actionId":"hello","payload":{"n":1}}}
// meta: {"responded":false,"dataError":false,"resultError":false,"status":null,"widget":null,"trigger":null}
async function handler(input, context) {
  return { ok: true, input };
}
module.exports = { handler };
