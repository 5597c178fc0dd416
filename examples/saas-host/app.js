// The three lines that embed the builder, and what keeps the address bar in step with it.
const root = document.documentElement;
const trouble = document.getElementById('trouble');

function say(error) {
    trouble.textContent = `${error.message} (${error.code ?? error.name})`;
    trouble.hidden = false;
}

async function token() {
    const answer = await fetch('/token');
    if (!answer.ok) throw new Error('You have been signed out.');
    return answer.text();
}

// Where in the builder the address bar says we are.
function routeHere() {
    return stoa.extractRouteFromUrl({ vendorUrl: location.href, prefix: '/automation' });
}

function embed() {
    return stoa.configure({
        instanceUrl: root.dataset.instance,
        getToken: token,
        prefix: '/automation',
        embedding: {
            containerId: 'builder',
            initialRoute: routeHere(),
            dashboard: { hideSidebar: true },
            navigation: {
                // The route begins with the prefix: it is what the address bar shows. One that took the
                // place of a route that does not exist takes its place here as well, or there is no way back.
                handler({ route, replace }) {
                    if (location.pathname + location.search !== route) history[replace ? 'replaceState' : 'pushState']({}, '', route);
                },
            },
        },
    });
}

if (root.dataset.state === 'in' && location.pathname.startsWith('/automation')) {
    embed().catch(say);
    addEventListener('popstate', () => stoa.navigate({ route: routeHere() }));
    for (const link of document.querySelectorAll('a[data-route]'))
        link.addEventListener('click', (event) => {
            event.preventDefault();
            stoa.navigate({ route: link.dataset.route });
        });
}

// "Connect…": the product's own list of what can be connected, by the API that the page's session
// reaches; then the builder's dialog, which alone sees what is typed.
const chooser = document.querySelector('dialog');
const choice = chooser.querySelector('select');

async function connectables() {
    const { data } = await stoa.request({ path: '/pieces', method: 'GET' });
    return data.filter((piece) => Object.keys({ ...piece.userSecrets, ...piece.userFields }).length > 0);
}

document.getElementById('connect').addEventListener('click', async () => {
    try {
        choice.replaceChildren(...(await connectables()).map((p) => new Option(p.displayName, p.slug)));
        chooser.returnValue = ''; // Escape leaves it as it was the last time
        chooser.showModal();
    } catch (error) {
        say(error);
    }
});

chooser.addEventListener('close', async () => {
    if (chooser.returnValue !== 'connect' || !choice.value) return;
    try {
        const { connection } = await stoa.connect({ pieceName: choice.value });
        if (connection) stoa.navigate({ route: '/connections' });
    } catch (error) {
        say(error);
    }
});
