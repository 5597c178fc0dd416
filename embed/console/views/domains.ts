// /domains: names that lead to apps, with the records they want.
import type { Json } from '../api';
import type { Context } from '../context';
import { fill, h, icon } from '../dom';
import { copyButton } from '../parts/copy';
import { confirm, dialog } from '../parts/dialog';
import { empty, pill, row } from '../parts/list';
import { busyButton, load, sentence } from '../parts/load';
import type { Place } from '../router';
import { heading } from '../shell';
import { say } from '../words';

function statusOf({ words }: Context, domain: Json): HTMLElement {
    const known: Record<string, [Parameters<typeof pill>[0], string]> = {
        verified: ['good', words.verified], pending: ['wait', words.pending], failing: ['bad', words.failing], suspended: ['calm', words.suspended],
    };
    return pill(...(known[domain.status] ?? (['calm', domain.status] as ['calm', string])));
}

function records(context: Context, list: Json[]): HTMLElement {
    const { words } = context;
    return h('div', { class: 'records' }, h('p', {}, words.dnsText), list.map((record) => h('dl', {},
        ([[words.type, record.type], [words.name, record.name], [words.value, record.value]] as [string, string][]).map(([name, value]) =>
            h('div', {}, h('dt', {}, name), h('dd', {}, h('code', {}, value), name !== words.type && copyButton(context, value, `${words.copyLink}: ${name}`)))))));
}

function domainItem(context: Context, domain: Json, apps: Json[], again: () => void): HTMLElement {
    const { words, api, may } = context;
    const app = apps.find((one) => one.id === domain.instanceId);
    const wanted = [domain.status !== 'verified' && domain.verification, ...(domain.routing?.ok ? [] : domain.routing?.expected ?? [])].filter(Boolean);
    const said = h('p', { class: 'quiet', role: 'status' }, domain.status === 'verified' ? domain.routing?.message : domain.next);
    const check = may('manage') && domain.status !== 'verified' && busyButton(context, words.checkNow, words.checking, { class: 'small' }, async () => {
        await api.verifyDomain(domain.id);
        again();
    }, (text) => (said.textContent = text));
    const remove = may('manage') && h('button', { type: 'button', class: 'plain', 'aria-label': `${words.remove}: ${domain.unicodeHostname}`, title: words.remove, on: { click: () =>
        confirm(context, say(words.removeDomain, domain.unicodeHostname), words.remove, () => api.removeDomain(domain.id).then(again, (error) => context.tell(sentence(error, words)))) } }, icon('close'));
    return row(context, {
        title: domain.unicodeHostname ?? domain.hostname, pill: statusOf(context, domain), facts: [app?.displayName ?? domain.instanceSlug, domain.certificate?.status !== 'none' && `${words.certificate}: ${domain.certificate?.status}`],
        actions: [check, remove], below: wanted.length ? h('div', {}, records(context, wanted), said) : undefined,
    });
}

export function domainList(context: Context, apps: Json[], app?: string): HTMLElement {
    const { api, signal, words } = context;
    const place = h('div');
    const ask = (): void => void load(context, place, () => api.domains(signal), ({ data }) => {
        const mine = data.filter((domain) => domain.status !== 'removed' && (!app || domain.instanceId === app));
        return mine.length ? h('ul', { class: 'rows', 'aria-label': words.domains }, mine.map((domain) => domainItem(context, domain, apps, ask))) : empty('domains', words.noDomains, words.noDomainsText);
    });
    place.addEventListener('again', ask);
    ask();
    return place;
}

function addDomain(context: Context, apps: Json[]): void {
    const { words, api } = context;
    const host = h('input', { id: 'new-domain', type: 'text', required: true, placeholder: 'forms.example.com', autocapitalize: 'none', spellcheck: 'false', autocomplete: 'off' });
    const app = h('select', { id: 'new-domain-app' }, apps.map((one) => h('option', { value: one.id }, `${one.displayName} (${one.slug})`)));
    const trouble = h('p', { class: 'trouble', role: 'alert', hidden: true });
    const { close } = dialog(context, words.addDomain, (shut) => [
        h('form', { class: 'form', on: { submit: (event: Event) => { event.preventDefault(); void save(); } } },
            h('div', { class: 'field' }, h('label', { for: 'new-domain' }, words.hostname), host),
            apps.length > 1 && h('div', { class: 'field' }, h('label', { for: 'new-domain-app' }, words.app), app),
            trouble,
            h('footer', {}, h('button', { type: 'button', on: { click: shut } }, words.cancel), h('button', { type: 'submit', class: 'primary' }, words.add))),
    ]);
    const save = async (): Promise<void> => {
        try {
            await api.addDomain(host.value.trim(), app.value || apps[0].id);
            close();
            context.main.querySelectorAll('section > div, .list > div').forEach((place) => place.dispatchEvent(new Event('again')));
        } catch (error) {
            trouble.hidden = false;
            fill(trouble, sentence(error, words));
        }
    };
}

export function addDomainButton(context: Context, apps: Json[]): HTMLElement | false {
    return context.may('manage') && apps.length > 0 && h('button', { type: 'button', class: 'small', on: { click: () => addDomain(context, apps) } }, icon('plus'), context.words.addDomain);
}

export function domainsView(context: Context, _: Place): void {
    const { words, main, api, signal } = context;
    const place = h('div', { class: 'list' });
    const beside = h('div');
    main.append(heading(context, words.domains, beside), place);
    void load(context, place, () => api.apps(signal), ({ data }) => {
        const button = addDomainButton(context, data);
        if (button) beside.replaceChildren(button);
        return domainList(context, data);
    });
}
