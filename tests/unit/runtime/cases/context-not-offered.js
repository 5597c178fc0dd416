// data: ["context.ai.analyze is not offered here","context.ai.chat is not offered here","context.ai.summarize is not offered here","context.billing.chargeUsage is not offered here","context.db.query is not offered here","context.machine.execute is not offered here","context.oauth.fetch is not offered here","context.oauth.getConnectionInfo is not offered here","context.pdf.extractText is not offered here","context.tasks.create is not offered here","context.tasks.delete is not offered here","context.tasks.update is not offered here","context.updateSessionMetadata is not offered here"]
async function handler(input, c) {
  const calls = [c.ai.analyze, c.ai.chat, c.ai.summarize, c.billing.chargeUsage, c.db.query, c.machine.execute, c.oauth.fetch,
    c.oauth.getConnectionInfo, c.pdf.extractText, c.tasks.create, c.tasks.delete, c.tasks.update, c.updateSessionMetadata];
  return Promise.all(calls.map((f) => f({}).then(() => 'resolved', (error) => error.message)));
}
module.exports = { handler };
