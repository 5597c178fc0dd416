// The form that a manifest's userSecrets and userFields ask for.
import { ApiError, Json } from '../api';
import type { Context } from '../context';
import { h } from '../dom';
import { sentence } from './load';

interface Made {
    id: string;
    externalId: string;
}

interface Field {
    element: HTMLElement;
    control: HTMLElement;
    /** undefined: left empty. */
    value: () => unknown;
}

let count = 0;

function labelled(words: Context['words'], label: string, required: boolean, text: string | undefined, control: HTMLElement): HTMLElement {
    const id = `field-${++count}`;
    control.id = id;
    if (required) control.setAttribute('required', '');
    control.setAttribute('aria-describedby', `${id}-wrong ${id}-text`); // as far as they are there
    return h('div', { class: 'field' },
        h('label', { for: id }, label, ' ', !required && h('small', {}, words.optional)),
        control,
        text && h('small', { id: `${id}-text` }, text));
}

/** What is wrong with its value, under it; nothing: it is not wrong any more. */
function mark({ element, control }: Field, wrong?: string): void {
    element.querySelector('.wrong')?.remove();
    if (wrong) element.append(h('small', { id: `${control.id}-wrong`, class: 'wrong' }, wrong));
    if (wrong) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
}

function secretField(words: Context['words'], name: string, declared: Json): Field {
    const input = h('input', { type: 'password', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'none', 'data-secret': name });
    const text = [declared.description, words.secretText].filter(Boolean).join(' – ');
    return { element: labelled(words, name, declared.required === true, text, input), control: input, value: () => input.value || undefined };
}

function userField(words: Context['words'], name: string, declared: Json): Field {
    const label = String(declared.label ?? name);
    const required = declared.required === true;
    const wrap = (control: HTMLElement, value: () => unknown, text = declared.description): Field => ({ element: labelled(words, label, required, text, control), control, value });
    if (declared.type === 'boolean') {
        const box = h('input', { type: 'checkbox', 'data-field': name, checked: declared.default === true });
        const field = wrap(box, () => box.checked);
        box.removeAttribute('required'); // unticked is an answer
        field.element.classList.add('tick');
        return field;
    }
    if (declared.type === 'select') {
        const options: Json[] = Array.isArray(declared.options) ? declared.options : [];
        const select = h('select', { 'data-field': name }, !required && h('option', { value: '' }, '–'),
            options.map((o) => h('option', { value: String(o.value), selected: o.value === declared.default }, String(o.label ?? o.value))));
        return wrap(select, () => options.find((o) => String(o.value) === select.value)?.value);
    }
    const initial = Array.isArray(declared.default) ? declared.default.join(', ') : declared.default;
    const input = h('input', {
        type: declared.type === 'number' ? 'number' : 'text', 'data-field': name, value: initial, placeholder: declared.placeholder,
        min: declared.min, max: declared.max, step: declared.type === 'number' ? 'any' : undefined,
    });
    if (declared.type === 'number') return wrap(input, () => (input.value === '' ? undefined : Number(input.value)));
    if (declared.type !== 'tags') return wrap(input, () => input.value || undefined);
    const texts = (): string[] => input.value.split(',').map((part) => part.trim()).filter(Boolean);
    return wrap(input, () => (texts().length ? texts() : undefined), [declared.description, words.tagsText].filter(Boolean).join(' – '));
}

function valuesOf(fields: Map<string, Field>): Record<string, unknown> {
    return Object.fromEntries([...fields].map(([name, field]) => [name, field.value()]).filter(([, value]) => value !== undefined));
}

// What must be given first; the server keeps no order.
function inOrder(declared: Json): [string, Json][] {
    return Object.entries<Json>(declared ?? {}).sort(([, a], [, b]) => Number(b?.required === true) - Number(a?.required === true));
}

// Under the fields that they are about; returns those that are about none.
function markAll(fields: Map<string, Field>, wrong: Record<string, string>): string[] {
    fields.forEach((field, key) => mark(field, wrong[key]));
    [...fields.values()].find(({ control }) => control.hasAttribute('aria-invalid'))?.control.focus();
    return Object.keys(wrong).filter((key) => !fields.has(key)).map((key) => `${key}: ${wrong[key]}`);
}

/** `name`: the host's for the connection; without one the person gives it. */
export function connectForm(context: Context, piece: Json, { pieceName, name, onDone, onCancel }:
    { pieceName: string; name?: string; onDone: (made: Made) => void; onCancel: () => void }): HTMLFormElement {
    const { words } = context;
    const secrets = new Map(inOrder(piece.userSecrets).map(([key, declared]) => [key, secretField(words, key, declared ?? {})]));
    const values = new Map(inOrder(piece.userFields).map(([key, declared]) => [key, userField(words, key, declared ?? {})]));
    const title = h('input', { type: 'text', maxlength: '100', value: piece.displayName });
    const called: Field = { element: labelled(words, words.connectionName, true, words.connectionNameText, title), control: title, value: () => title.value };
    const all = new Map<string, Field>([
        ...(name ? [] : [['displayName', called]] as [string, Field][]),
        ...[...secrets].map(([key, field]): [string, Field] => [`secrets.${key}`, field]),
        ...[...values].map(([key, field]): [string, Field] => [`fields.${key}`, field]),
    ]);
    const trouble = h('p', { class: 'trouble', role: 'alert', hidden: true });
    const submit = h('button', { type: 'submit', class: 'primary' }, words.connect);
    const form = h('form', { class: 'form', on: { submit: (event: Event) => { event.preventDefault(); void save(); } } },
        [...all.values()].map((field) => field.element));
    if (!secrets.size && !values.size) form.append(h('p', {}, words.nothingToEnter));
    form.append(trouble, h('footer', {}, h('button', { type: 'button', on: { click: onCancel } }, words.cancel), submit));

    const save = async (): Promise<void> => {
        if (submit.getAttribute('aria-disabled')) return;
        submit.setAttribute('aria-disabled', 'true');
        submit.textContent = words.saving;
        trouble.hidden = true;
        markAll(all, {});
        try {
            const names = name ? { externalId: name } : { displayName: title.value }; // one that is there keeps what it is called
            onDone(await context.api.connect({ pieceName, ...names, secrets: valuesOf(secrets), fields: valuesOf(values) }));
        } catch (error) {
            const wrong = error instanceof ApiError && error.details?.fields;
            trouble.textContent = wrong ? [words.someWrong, ...markAll(all, wrong)].join(' ') : sentence(error, words);
            trouble.hidden = false;
            submit.removeAttribute('aria-disabled');
            submit.textContent = words.connect;
        }
    };
    return form;
}
