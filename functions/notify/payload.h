// What a webhook is sent for an event: the body, and the headers that describe it.
#pragma once

#include <fanfare/function.h>

#include <string>
#include <string_view>
#include <vector>

namespace notify {

enum class Format {
  kEvent,              // {"type", "source", "subject", "timestamp", "text", "data"}
  kCloudEvents,        // CloudEvents 1.0, structured: one JSON object
  kCloudEventsBinary,  // CloudEvents 1.0, binary: the data as they are, the rest in ce-… headers
  kSns                 // as Amazon SNS posts it; sns_payload.h
};
// "event" (also ""), "cloudevents", "cloudevents-binary", "sns". Throws fanfare::Failure
// ConfigError, not retryable, for anything else.
Format format_called(std::string_view name);

struct Payload {
  std::string body;
  std::vector<std::string> headers;  // "name: value"; content-type among them
};

// JSON data stand in the body as they came, byte by byte; of other data text is a JSON text and the
// rest "data_base64". `text` is the rendered template, of kEvent only; may be empty.
// Throws fanfare::Failure MalformedNotification, not retryable, in kEvent if data that should be
// JSON (by their content type, or without one) are not, or are nested over 256 deep; NotText, also
// not retryable, in kSns.
Payload payload_of(Format format, const fanfare::Event& event, const std::string& text);

// Whether bytes are one JSON value, nested at most 256 deep.
bool is_json(std::string_view bytes);

}  // namespace notify
