/* Shows the OpenAPI document with Swagger UI; a signed-in browser sends its cookie. */
const place = document.getElementById("swagger");
SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: true, validatorUrl: null });
