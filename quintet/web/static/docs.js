/* Shows the OpenAPI document with Swagger UI; a browser that is signed in sends its cookie along. */
const place = document.getElementById("swagger");
SwaggerUIBundle({ url: place.dataset.document, domNode: place, deepLinking: true, validatorUrl: null });
