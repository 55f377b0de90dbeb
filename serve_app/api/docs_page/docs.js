/* Shows the document of this server, and nothing of any other. */

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  // The default sends the document to a validator on the internet.
  validatorUrl: null,
});
