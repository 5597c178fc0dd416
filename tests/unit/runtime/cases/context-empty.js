// data: [false,false,[],[],[],{}]
module.exports = {
  handler: async (input, c) => [await c.oauth.isConnected(), await c.machine.isOnline(), await c.machine.list(), await c.tasks.list(),
    await c.ai.listModels(), await c.getSessionMetadata()],
};
