// /apps/{id}: one app with what happened in it.
import type { Json } from '../api';
import type { Context } from '../context';
import { h, icon, webUrl } from '../dom';
import { copyButton } from '../parts/copy';
import { link } from '../parts/link';
import { load } from '../parts/load';
import type { Place } from '../router';
import { heading } from '../shell';
import { openLink, statusPill } from './apps';
import { addDomainButton, domainList } from './domains';
import { fileList } from './files';
import { runList } from './runs';

const LATEST = 5;

function wayBack(context: Context, place: Place): HTMLElement | false {
    const { options, words, host } = context;
    if (options.navigation === 'none') return false;
    const label = options.navigation === 'home' ? words.home : words.backToApps;
    const symbol = icon(options.homeIcon === 'logo' && !options.hideLogo ? 'logo' : 'back');
    if (options.tellsHome) {
        return h('button', { type: 'button', class: 'way-back', on: { click: () => host.say('CLIENT_BUILDER_HOME_BUTTON_CLICKED', { route: place.route }) } }, symbol, label);
    }
    return link(context, '/apps', { class: 'way-back' }, symbol, label);
}

function section(title: string, content: HTMLElement, ...beside: (HTMLElement | false)[]): HTMLElement {
    return h('section', { class: 'panel', 'aria-label': title }, h('header', {}, h('h2', {}, title), beside), content);
}

function head(context: Context, app: Json): HTMLElement[] {
    const url = webUrl(app.publicAppUrl);
    return [
        heading(context, context.options.hideAppName ? context.words.app : app.displayName, statusPill(context, app), openLink(context, app, 'primary')),
        h('p', { class: 'address' }, url ? [h('code', {}, url), copyButton(context, url, context.words.copyLink)] : h('code', {}, app.slug)),
    ];
}

export function appView(context: Context, place: Place): void {
    const { main, api, signal, words } = context;
    const content = h('div', { class: 'app' });
    const back = wayBack(context, place);
    if (back) main.append(back);
    main.append(content);
    void load(context, content, () => api.app(place.params[0], signal), (app) => [
        ...head(context, app),
        section(words.runs, runList(context, app, LATEST), link(context, `/runs?app=${app.id}`, {}, words.allOf)),
        section(words.files, fileList(context, app.id, LATEST), link(context, `/files?app=${app.id}`, {}, words.allOf)),
        section(words.domains, domainList(context, [app], app.id), addDomainButton(context, [app])),
    ]);
}
