// A contact form's submission: from what a browser sends to clean, checked fields.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace store_form {

struct Submission {
  std::string name, email, message;
  std::map<std::string, std::string> others;
};

// The fields of an urlencoded form or of a flat JSON object, whichever the content type says (JSON
// if it says nothing). Of a field that is given twice the last one counts.
// Throws fanfare::Failure, not retryable: MalformedForm.
std::map<std::string, std::string> parse_fields(std::string_view content_type,
                                                std::string_view data);

// Trims everything, lower-cases the address, and requires name, email and message.
// Throws fanfare::Failure, not retryable: ValidationError, naming everything that is wrong.
Submission validate(std::map<std::string, std::string> fields);

std::string to_json(const Submission& submission, std::string_view form);

// "FORM/2026-11-28T06:10:00Z/ID": in the order in which they came, and the same in every attempt.
// An id begins with its time, in Unix ms.
std::string row_key(std::string_view form, std::string_view event_id);
// The same as to_json, with the form's other fields beside the known ones: a column each.
std::string to_row(const Submission& submission, std::string_view form);

}  // namespace store_form
