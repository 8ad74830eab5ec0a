// A form that comes as multipart/form-data: its texts into memory, its files to the disk, both as
// they arrive.
//
// Takes a request's body piece by piece, in bounds: texts and names up to the form's max_bytes,
// files by number and size. What is in memory of files are some hundred kilobytes at most; while
// the disk is slower than the client it is full, and the connection reads no more.
//
// On the loop's thread. Destroyed before its files are kept, it leaves none of them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "triggers/file_name.h"
#include "triggers/form_fields.h"
#include "triggers/http.h"
#include "triggers/multipart_reader.h"
#include "triggers/upload.h"

namespace fanfare::triggers {

struct FormUploadLimits {
  std::size_t text_bytes_max = 256u << 10;
  std::size_t files_max = 10;
  std::size_t file_bytes_max = 10u << 20;
  std::size_t files_bytes_max = 50u << 20;  // all of a submission
};

struct FormUploadCounters {
  std::uint64_t files = 0, bytes = 0;  // put into place
  std::uint64_t unwanted = 0;          // files where the form takes none
  // Submissions: beyond a limit; the disk cannot; no form.
  std::uint64_t too_large = 0, disk = 0, malformed = 0;
  LogThrottle log;  // of why the disk cannot
};

class FormUpload final : public BodySink, private MultipartReader::Parts {
 public:
  // Without `upload` files are refused. `headers` are those of every refusal. What is a file in the
  // field `honeypot` is none: fields() has its name there, and its content is read over.
  FormUpload(std::string_view boundary, FormUploadLimits limits, std::unique_ptr<Upload> upload,
             FormUploadCounters& counters, std::vector<HttpHeader> headers = {},
             std::string honeypot = {});

  std::optional<HttpResponse> take(std::string_view bytes) override;
  bool is_full() const override;
  void on_ready(std::function<void()> ready) override;
  std::size_t bytes_in_memory() const override;

  // When the body has come to its end.
  const FormFields& fields() const { return fields_; }
  // Puts the files into place: {form}/…, as upload_folder.h has it. `done` gets their references as
  // JSON, by the names of their fields, or a response that says why not; at once if there are no
  // files, else later. It must not own the request.
  struct Outcome {
    FormFields references;
    std::optional<HttpResponse> refusal;
  };
  void finish(const std::string& form, const std::string& repeat_key,
              std::function<void(Outcome)> done);
  // Whether the files stay when this goes; false until it is said.
  void keep_files(bool keep);

 private:
  struct File {
    std::string field, name, type;
    std::size_t bytes = 0;
  };
  Result<void> on_part(std::string_view head) override;
  Result<void> on_content(std::string_view piece) override;
  Result<void> on_part_end() override;
  std::optional<HttpResponse> read(std::string_view bytes);
  Result<void> begin_file();
  Result<void> take_text(std::string_view piece);
  Result<void> refuse(std::uint64_t& counter, HttpResponse response);
  HttpResponse refusal_of(const Error& error);
  FormFields references(const std::vector<StoredFile>& stored);

  const FormUploadLimits limits_;
  const std::unique_ptr<Upload> upload_;
  FormUploadCounters& counters_;
  const std::vector<HttpHeader> headers_;
  const std::string honeypot_;
  MultipartReader reader_;
  std::optional<HttpResponse> refusal_;  // of a limit

  FormFields fields_;
  std::size_t text_bytes_ = 0;
  std::vector<File> files_;
  std::size_t files_bytes_ = 0;
  FileNames names_;
  enum class Part { kText, kUnbegunFile, kFile, kBait };
  Part part_ = Part::kText;
  File unbegun_;  // a file of which nothing has come: browsers send those for inputs left empty
};

}  // namespace fanfare::triggers
