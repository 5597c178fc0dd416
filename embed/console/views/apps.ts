// /apps: the project's apps.
import type { Json } from '../api';
import type { Context } from '../context';
import { h, icon, webUrl } from '../dom';
import { ago } from '../format';
import { empty, pill, row } from '../parts/list';
import { load } from '../parts/load';
import { heading } from '../shell';
import { makeApp, openCatalogue } from './catalogue';

export function statusPill({ words }: Context, app: Json): HTMLElement {
    return app.status === 'ENABLED' ? pill('good', words.online) : pill('calm', words.offline);
}

export function openLink({ words }: Context, app: Json, kind: string): HTMLElement | false {
    const url = webUrl(app.publicAppUrl);
    return !!url && h('a', { class: `button ${kind}`, href: url, target: '_blank', rel: 'noopener', 'aria-label': `${words.openApp}: ${app.displayName}` }, icon('open'), h('span', {}, words.openApp));
}

export function appsView(context: Context): void {
    const { words, api, signal, main, options } = context;
    const place = h('div');
    const make = h('button', { type: 'button', class: 'primary', hidden: true, on: { click: () => openCatalogue(context) } }, icon('plus'), words.newApp);
    main.append(heading(context, words.apps, make), place);
    void load(context, place, () => api.apps(signal), ({ data }) => {
        make.hidden = !context.may('build') || !data.length;
        if (!data.length) return context.may('build') ? [empty('apps', words.noApps, words.noAppsText), makeApp(context)] : empty('apps', words.noApps, words.noAppsText);
        return h('ul', { class: 'rows', 'aria-label': words.apps }, data.map((app) => row(context, {
            title: app.displayName, route: `/apps/${app.id}`, pill: statusPill(context, app),
            facts: [app.slug, ago(app.createdAt, options.locale)], actions: [openLink(context, app, 'small')],
        })));
    });
}
