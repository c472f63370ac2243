/** Templates: Handlebars (`.hbs`) and Jinja (`.j2`) on the expression language, strict about what is missing. */
export { templates, Templates } from './templates.js';
