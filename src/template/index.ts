/** Templates: Handlebars (`.hbs`) and Jinja (`.j2`) on the expression language, strict about what is missing. */
export type { Rendered } from './output.js';
export { checkTemplate, Templates } from './templates.js';
