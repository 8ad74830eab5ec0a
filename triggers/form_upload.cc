#include "triggers/form_upload.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/size.h"
#include "base/utf8.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"
#include "triggers/form_part.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

constexpr std::size_t kUnwrittenLow = Upload::kUnwrittenMax / 2;

std::string reference(const std::string& bucket, const std::string& name, const std::string& type,
                      const StoredFile& stored) {
  std::string json = "{\"name\":";
  protocol::append_json_string(json, name);
  json += ",\"bucket\":";
  protocol::append_json_string(json, bucket);
  json += ",\"key\":";
  protocol::append_json_string(json, stored.key);
  json += ",\"path\":";
  protocol::append_json_string(json, protocol::to_utf8(stored.path, 8192));
  json += fmt::format(",\"size\":{},\"type\":", stored.size);
  protocol::append_json_string(json, protocol::to_utf8(type, 256));
  return json + fmt::format(",\"etag\":\"{}\"}}", stored.sha256);
}

}  // namespace

FormUpload::FormUpload(std::string_view boundary, FormUploadLimits limits,
                       std::unique_ptr<Upload> upload, FormUploadCounters& counters,
                       std::vector<HttpHeader> headers, std::string honeypot)
    : limits_(limits),
      upload_(std::move(upload)),
      counters_(counters),
      headers_(std::move(headers)),
      honeypot_(std::move(honeypot)),
      reader_(boundary, {.parts_max = kFormFieldsMax}, *this) {}

// ---- as it comes ----

std::optional<HttpResponse> FormUpload::take(std::string_view bytes) {
  auto refusal = read(bytes);
  if (refusal) refusal->headers.insert(refusal->headers.end(), headers_.begin(), headers_.end());
  return refusal;
}

std::optional<HttpResponse> FormUpload::read(std::string_view bytes) {
  if (upload_ && upload_->error()) return refusal_of(*upload_->error());
  const auto read = reader_.read(bytes);
  if (refusal_) return std::move(refusal_);
  if (read) return std::nullopt;
  ++counters_.malformed;
  return problem(400, read.error().message);
}

bool FormUpload::is_full() const {
  return upload_ && !upload_->error() && upload_->unwritten() >= Upload::kUnwrittenMax;
}

void FormUpload::on_ready(std::function<void()> ready) {
  if (!upload_) return;
  upload_->on_progress([upload = upload_.get(), ready = std::move(ready)] {
    if (upload->error() || upload->unwritten() <= kUnwrittenLow) ready();
  });
}

std::size_t FormUpload::bytes_in_memory() const {
  return text_bytes_ + (upload_ ? upload_->unwritten() : 0);
}

Result<void> FormUpload::on_part(std::string_view head) {
  auto part = form_part_of(head);
  if (!part) return part.error();
  if (!is_utf8(part->name)) return not_utf8(part->name);
  if (part->file_name) {
    part_ = Part::kUnbegunFile;
    unbegun_ = {.field = std::move(part->name),
                .name = *std::move(part->file_name),
                .type = std::move(part->type)};
    return unbegun_.name.empty() ? Result<void>{} : begin_file();
  }
  part_ = Part::kText;
  text_bytes_ += part->name.size();
  fields_.emplace_back(std::move(part->name), std::string{});
  return take_text({});
}

Result<void> FormUpload::begin_file() {
  if (!honeypot_.empty() && unbegun_.field == honeypot_) {
    part_ = Part::kBait;
    const std::string name = safe_file_name(unbegun_.name);
    text_bytes_ += unbegun_.field.size() + name.size();
    fields_.emplace_back(std::exchange(unbegun_, {}).field, name);
    return take_text({});
  }
  // Functions would not hear of it, and nobody could remove it.
  if (unbegun_.field.starts_with('_')) {
    return reject("a field whose name begins with \"_\" is the gateway's own and has no files");
  }
  if (!upload_) {
    return refuse(counters_.unwanted,
                  problem(415,
                          "this form takes no files; bucket = \"…\" in its definition in "
                          "triggers.toml says where they would go"));
  }
  if (files_.size() == limits_.files_max) {
    return refuse(
        counters_.too_large,
        problem(413, fmt::format("a submission of this form may have {} files (max_files)",
                                 limits_.files_max)));
  }
  part_ = Part::kFile;
  unbegun_.name = names_.add(safe_file_name(unbegun_.name));
  upload_->begin_file(unbegun_.name);
  text_bytes_ += unbegun_.field.size() + unbegun_.type.size();
  files_.push_back(std::exchange(unbegun_, {}));
  return take_text({});
}

Result<void> FormUpload::on_content(std::string_view piece) {
  if (part_ == Part::kText) return take_text(piece);
  if (part_ == Part::kUnbegunFile) {
    if (const auto begun = begin_file(); !begun) return begun;
  }
  if (part_ == Part::kBait) return {};
  File& file = files_.back();
  file.bytes += piece.size();
  files_bytes_ += piece.size();
  if (file.bytes > limits_.file_bytes_max) {
    return refuse(counters_.too_large,
                  problem(413, fmt::format("a file of this form may have {} (max_file_bytes)",
                                           format_size(limits_.file_bytes_max))));
  }
  if (files_bytes_ > limits_.files_bytes_max) {
    return refuse(counters_.too_large,
                  problem(413, fmt::format("the files of a submission of this form may have {} "
                                           "together (max_files_bytes)",
                                           format_size(limits_.files_bytes_max))));
  }
  upload_->write(piece);
  return {};
}

Result<void> FormUpload::take_text(std::string_view piece) {
  if (part_ == Part::kText) {
    text_bytes_ += piece.size();
    fields_.back().second += piece;
  }
  if (text_bytes_ <= limits_.text_bytes_max) return {};
  return refuse(counters_.too_large,
                problem(413, fmt::format("the texts of this form may have {} (max_bytes)",
                                         format_size(limits_.text_bytes_max))));
}

Result<void> FormUpload::on_part_end() {
  if (part_ == Part::kFile) upload_->end_file();
  if (part_ == Part::kText && !is_utf8(fields_.back().second)) {
    return not_utf8(fields_.back().first);
  }
  return {};
}

Result<void> FormUpload::refuse(std::uint64_t& counter, HttpResponse response) {
  ++counter;
  refusal_ = std::move(response);
  return reject("refused");
}

HttpResponse FormUpload::refusal_of(const Error& error) {
  ++counters_.disk;
  if (counters_.log.allow(std::chrono::steady_clock::now())) {
    spdlog::warn("files of a form are not stored: {}", error.message);
  }
  // What lies where is no stranger's business.
  if (error.message.starts_with("disk_full")) return problem(507, "there is no room for files");
  HttpResponse response = problem(error.kind == ErrorKind::kRetryLater ? 503 : 500,
                                  "files cannot be stored at present; the log says why");
  if (response.status == 503) response.headers.push_back({"Retry-After", "30"});
  return response;
}

// ---- at its end ----

void FormUpload::finish(const std::string& form, const std::string& repeat_key,
                        std::function<void(Outcome)> done) {
  if (!reader_.is_complete()) {
    return done(
        {.references = {}, .refusal = problem(400, "the form ends before its last boundary")});
  }
  if (files_.empty()) return done({});
  upload_->put_into_place(
      form, repeat_key,
      [this, done = std::move(done)](const Result<std::vector<StoredFile>>& placed) {
        if (!placed) return done({.references = {}, .refusal = refusal_of(placed.error())});
        done({.references = references(*placed), .refusal = {}});
      });
}

FormFields FormUpload::references(const std::vector<StoredFile>& stored) {
  FormFields all;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    ++counters_.files;
    counters_.bytes += stored[i].size;
    all.emplace_back(files_[i].field,
                     reference(upload_->bucket(), files_[i].name, files_[i].type, stored[i]));
  }
  return all;
}

void FormUpload::keep_files(bool keep) {
  if (upload_) upload_->keep(keep);
}

}  // namespace fanfare::triggers
