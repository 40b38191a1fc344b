#include "worker/error_hint.hpp"

#include "text/words.hpp"
#include "worker/redaction.hpp"

#include <array>
#include <csignal>
#include <cstring>

namespace awm::worker {
namespace {

constexpr std::size_t longest_quote = 500;

/// The line of stderr that tells most: the first that speaks of an error, else the last.
std::string_view telling_line(std::string_view text) {
  std::string_view last;
  while (!text.empty()) {
    const auto newline = text.find('\n');
    const auto line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (line.find("rror") != std::string_view::npos) return line;
    last = line;
  }
  return last;
}

struct advice {
  std::string_view sign;  // in the result's text or its errors
  std::string_view text;
};

constexpr std::array advice_by_text{
    advice{"No conversation found",
           "The session is gone or belongs to another directory or HOME; start a new worker with spawn_worker."},
    advice{"Prompt is too long", "Give it a shorter prompt, or start a new worker with a summary."},
    advice{"is already in use", "Another process uses this session; wait for it to end, then resume_worker."},
    advice{"bypassPermissions", "Choose another permission_mode."},
};

std::string_view advice_for_status(std::int64_t status) {
  switch (status) {
    case 400:
      return "The API refused the request as it is: check the options (model, sampling, max_tokens), then "
             "resume_worker.";
    case 401:
    case 403:
      return "Sign the CLI in (`claude auth login`, or ANTHROPIC_API_KEY in the server's environment), then "
             "resume_worker.";
    case 404:
      return "Choose another model (options.model), then resume_worker.";
    case 413:
      return "The request is too large: start a new worker with less input.";
    case 429:
      return "The account's rate limit is reached: wait a while, then resume_worker; fewer workers at once help.";
    case 529:
      return "The API is overloaded: wait a while, then resume_worker, or set options.fallback_model.";
    default:
      return status >= 500 ? "The API failed: resume_worker tries again."
                           : "resume_worker tries again on the same session.";
  }
}

std::string_view advice_for_subtype(std::string_view subtype) {
  if (subtype == "error_max_turns")
    return "resume_worker continues the work; a larger options.max_turns lets it go further.";
  if (subtype == "error_max_budget_usd")
    return "resume_worker with a larger options.max_budget_usd continues the work.";
  if (subtype == "error_max_structured_output_retries") return "The model did not produce what the schema asks for.";
  return {};
}

std::string words_of(const result_line& result) {
  if (!result.text.empty()) return result.text;
  std::string words;
  for (const auto& error : result.errors) {
    if (!words.empty()) words += "; ";
    words += error;
  }
  return words.empty() ? "the turn ended with " + result.subtype : words;
}

std::string hint_of_result(const failure_evidence& evidence) {
  const auto& result = *evidence.result;
  const auto words = redacted(words_of(result), evidence.environment);
  std::string hint = text::shortened(words, longest_quote);
  for (const auto& [sign, text] : advice_by_text) {
    if (words.find(sign) != std::string::npos) return hint + " — " + std::string(text);
  }
  // 2.1.197 names no status for a 529; the retry before it does.
  auto status = result.api_error_status;
  if (!status && evidence.retry != nullptr) status = evidence.retry->status;
  if (status) return hint + " — " + std::string(advice_for_status(*status));
  if (const auto text = advice_for_subtype(result.subtype); !text.empty()) return hint + " — " + std::string(text);
  if (result.terminal_reason.starts_with("aborted"))
    return "The turn was interrupted (" + hint + "). resume_worker continues the session.";
  return hint + " — resume_worker tries again on the same session.";
}

std::string how_it_ended(const coro::exit_status& exit) {
  if (exit.code >= 0) return "exited with status " + std::to_string(exit.code);
  const int signal = -exit.code;
  return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
}

}  // namespace

std::string error_hint(const failure_evidence& evidence) {
  if (evidence.retry != nullptr && evidence.retry->error == "authentication_failed") {
    return "The CLI is not signed in: the API answered " + std::to_string(evidence.retry->status.value_or(401)) + ". " +
           std::string(advice_for_status(401));
  }
  if (evidence.result != nullptr) return hint_of_result(evidence);
  std::string hint = "The worker's process ";
  hint += evidence.exit ? how_it_ended(*evidence.exit) : "closed its output";
  hint += " before its turn had a result";
  const auto said = redacted(evidence.stderr_tail, evidence.environment);
  if (const auto line = telling_line(said); !line.empty()) return hint + ": " + text::shortened(line, longest_quote);
  if (evidence.exit && evidence.exit->code == -SIGKILL)
    return hint + "; perhaps the machine ran out of memory. resume_worker tries again.";
  return hint + " and said nothing on stderr. resume_worker tries again.";
}

}  // namespace awm::worker
