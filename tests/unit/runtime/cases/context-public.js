// data: {"keys":["actor","ai","billing","db","fetch","files","getSessionMetadata","machine","managedDb","notify","oauth","pdf","publicApp","secrets","streamEvent","tasks","updateSessionMetadata","user","userConfig","widget"],"user":{"id":"u-1","displayName":"Uma"},"actor":{"id":"u-1","displayName":"Uma"},"secret":"s3cret","missing":true,"topics":["tech"],"app":["instanceId","respond","visitorIp"]}
async function handler(input, context) {
  const keys = Object.keys({ ...context }); // a copy has them all
  return { keys: keys.sort(), user: context.user, actor: context.actor, secret: context.secrets.KEY,
    missing: context.secrets.NONE === undefined, topics: context.userConfig.topics, app: Object.keys(context.publicApp).sort() };
}
module.exports = { handler };
