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
    return stoa.extractRouteFromUrl({ vendorUrl: location.href });
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
                handler({ route }) {
                    const url = `/automation${route}`;
                    if (location.pathname + location.search !== url) history.pushState({}, '', url);
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

document.getElementById('connect').addEventListener('click', async () => {
    const pieceName = prompt('Which app shall be connected? Its name, for example public-rsvp.');
    if (!pieceName) return;
    try {
        const { connection } = await stoa.connect({ pieceName });
        if (connection) stoa.navigate({ route: '/connections' });
    } catch (error) {
        say(error);
    }
});
