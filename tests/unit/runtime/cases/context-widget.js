// kind: widget
// data: {"app":{"instanceId":"i-1","instanceSlug":"app-1","pluginSlug":"app","baseUrl":"https://apps.example"}}
// meta: {"widget":[{"type":"show","data":{"event":"a"}},{"type":"update","data":{"n":1}},{"type":"hide","data":null}],"trigger":null}
async function handler(input, context) {
  await context.widget.show({ event: 'a' });
  context.widget.update({ n: 1 });
  if (await context.widget.hide() !== true)
    throw new Error('hide');
  return { app: context.publicApp };
}
module.exports = { handler };
