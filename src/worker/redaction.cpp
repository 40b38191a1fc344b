#include "worker/redaction.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <vector>

namespace awm::worker {
namespace {

constexpr std::size_t shortest_secret = 8;
// So much of a secret's end is no coincidence any more.
constexpr std::size_t shortest_end = 6;

constexpr std::array<std::string_view, 6> secret_endings{"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIALS"};
constexpr std::array<std::string_view, 6> key_beginnings{"sk-", "ghp_", "gho_", "ghs_", "ghu_", "github_pat_"};
constexpr std::array<std::string_view, 2> schemes{"Bearer", "Basic"};
constexpr std::string_view api_key_header = "x-api-key";

bool is_word(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '-';
}

/// What keys and tokens are made of, base64 and dots included.
bool is_token(char letter) {
  return is_word(letter) || std::string_view("./+=~").find(letter) != std::string_view::npos;
}

bool is_lower(char letter) {
  return std::islower(static_cast<unsigned char>(letter)) != 0;
}

bool is_digit(char letter) {
  return std::isdigit(static_cast<unsigned char>(letter)) != 0;
}

bool is_same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

bool starts_with(std::string_view text, std::string_view beginning) {
  return text.size() >= beginning.size() &&
         std::equal(beginning.begin(), beginning.end(), text.begin(), is_same_letter);
}

bool ends_with(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && starts_with(text.substr(text.size() - ending.size()), ending);
}

bool names_secret(std::string_view name) {
  return std::any_of(secret_endings.begin(), secret_endings.end(),
                     [name](auto ending) { return ends_with(name, ending); });
}

std::vector<std::string_view> secrets_in(std::span<const std::string> environment) {
  std::vector<std::string_view> secrets;
  for (const std::string_view variable : environment) {
    const auto equals = variable.find('=');
    if (equals == std::string_view::npos || !names_secret(variable.substr(0, equals))) continue;
    const auto value = variable.substr(equals + 1);
    if (value.size() >= shortest_secret) secrets.push_back(value);
  }
  // Of two that begin alike the longer one first, or the rest of it would stay.
  std::sort(secrets.begin(), secrets.end(), [](auto a, auto b) { return a.size() > b.size(); });
  return secrets;
}

template <class Kind>
std::size_t length_of(std::string_view text, Kind kind) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), kind) - text.begin());
}

/// How much of `text` stands between a name and its value: quotes, blanks, and `=` or `:` where that is `required`.
std::optional<std::size_t> length_of_assignment(std::string_view text, bool required) {
  std::size_t size = 0;
  bool assigned = false;
  for (; size < text.size() && std::string_view(" \t\"'\\=:").find(text[size]) != std::string_view::npos; ++size) {
    assigned = assigned || text[size] == '=' || text[size] == ':';
  }
  if (size == 0 || (required && !assigned)) return std::nullopt;
  return size;
}

class redactor {
 public:
  redactor(std::string_view text, std::span<const std::string> environment)
      : rest_(text), secrets_(secrets_in(environment)) {}

  std::string run() {
    skip_end_of_secret();
    while (!rest_.empty()) {
      if (skip_secret() || (at_word_ && (skip_key() || skip_value()))) continue;
      at_word_ = !is_word(rest_.front());
      keep(1);
    }
    return std::move(out_);
  }

 private:
  void keep(std::size_t size) {
    out_ += rest_.substr(0, size);
    rest_.remove_prefix(size);
  }

  bool skip(std::size_t size) {
    out_ += redaction;
    rest_.remove_prefix(size);
    at_word_ = false;
    return true;
  }

  void skip_end_of_secret() {
    std::size_t longest = 0;
    for (const auto secret : secrets_) {
      for (auto end = secret.substr(1); end.size() >= shortest_end; end.remove_prefix(1)) {
        if (rest_.starts_with(end)) longest = std::max(longest, end.size());
      }
    }
    if (longest > 0) skip(longest);
  }

  bool skip_secret() {
    const auto found =
        std::find_if(secrets_.begin(), secrets_.end(), [this](auto secret) { return rest_.starts_with(secret); });
    return found != secrets_.end() && skip(found->size());
  }

  /// A key that is known by how it begins.
  bool skip_key() {
    for (const auto beginning : key_beginnings) {
      if (!rest_.starts_with(beginning)) continue;
      const auto size = length_of(rest_, is_token);
      if (size >= beginning.size() + shortest_secret) return skip(size);
    }
    return false;
  }

  /// Behind a word that announces a secret: the word stays.
  bool skip_value() {
    const auto word = rest_.substr(0, length_of(rest_, is_word));
    const bool is_scheme = std::any_of(schemes.begin(), schemes.end(), [&](auto scheme) {
      return word.size() == scheme.size() && starts_with(word, scheme);
    });
    const bool is_name = ends_with(word, api_key_header) || names_secret(word);
    if (!is_scheme && !is_name) return false;
    const auto between = length_of_assignment(rest_.substr(word.size()), is_name);
    if (!between) return false;
    const auto value = rest_.substr(word.size() + *between);
    const auto size = length_of(value, is_token);
    // "Authorization: Bearer …": what counts stands behind the scheme. In prose ("Unexpected token: identifier") it is
    // a word; what is random has digits.
    const bool is_variable = is_name && std::none_of(word.begin(), word.end(), is_lower);
    const bool is_worth_it =
        size >= shortest_secret &&
        (is_variable || std::any_of(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(size), is_digit));
    keep(word.size() + *between);
    if (is_worth_it) return skip(size);
    at_word_ = true;
    return true;
  }

  std::string_view rest_;
  std::vector<std::string_view> secrets_;
  std::string out_;
  bool at_word_ = true;
};

}  // namespace

std::string redacted(std::string_view text, std::span<const std::string> environment) {
  return redactor(text, environment).run();
}

}  // namespace awm::worker
