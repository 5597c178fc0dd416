// Above a list of things of apps: which app's.
import type { Json } from '../api';
import type { Context } from '../context';
import { h } from '../dom';
import { load } from './load';

export function appChoice(context: Context, route: string, chosenId: string | null, show: (apps: Json[], chosen?: Json) => HTMLElement): HTMLElement {
    const { api, signal, words } = context;
    const place = h('div');
    void load(context, place, () => api.apps(signal), ({ data }) => {
        const chosen = data.find((app) => app.id === chosenId || app.slug === chosenId);
        if (data.length < 2) return show(data, chosen ?? data[0]);
        const select: HTMLSelectElement = h('select', { on: { change: () => context.go(select.value ? `${route}?app=${select.value}` : route) } },
            h('option', { value: '' }, words.allApps), data.map((app) => h('option', { value: app.id, selected: app === chosen }, `${app.displayName} (${app.slug})`)));
        return [h('label', { class: 'choice' }, h('span', {}, words.app), select), show(data, chosen)];
    });
    return place;
}
