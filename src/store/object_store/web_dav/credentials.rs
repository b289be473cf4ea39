//! As whom a server is asked.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

/// Their keys, which are those of `ObjectStoreOptions::store`, and `WEBDAV_USERNAME` and so on in the environment.
const KEYS: [&str; 3] = ["username", "password", "bearer_token"];

pub(super) enum Credentials {
    /// The server asks nobody who they are, or knows by other means.
    None,
    /// RFC 7617.
    Basic { username: String, password: String },
    /// RFC 6750.
    Bearer { token: String },
}

impl Credentials {
    /// Those among the settings, or else those of the environment, and the other settings.
    pub(super) fn among(
        settings: impl Iterator<Item = (String, String)>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<(String, String)>), String> {
        let (found, others): (Vec<_>, Vec<_>) = settings.partition(|(key, _)| KEYS.contains(&key.as_str()));
        let of_settings = |key: &str| Some(found.iter().find(|(found, _)| found == key)?.1.clone());
        let of_environment = |key: &str| environment(&format!("WEBDAV_{}", key.to_uppercase()));
        let credentials = match found.is_empty() {
            true => Credentials::of(KEYS.map(of_environment))?,
            false => Credentials::of(KEYS.map(of_settings))?,
        };
        Ok((credentials, others))
    }

    fn of(values: [Option<String>; 3]) -> Result<Self, String> {
        match values {
            [None, None, None] => Ok(Credentials::None),
            [None, None, Some(token)] => Ok(Credentials::Bearer { token }),
            [Some(username), _, None] if username.contains(':') => Err("`username` has a colon".to_owned()),
            [Some(username), Some(password), None] => Ok(Credentials::Basic { username, password }),
            _ => Err("a server of WebDAV takes `username` and `password`, or `bearer_token`".to_owned()),
        }
    }

    /// The headers of every request.
    pub(super) fn headers(&self) -> Result<HeaderMap, String> {
        let authorization = match self {
            Credentials::None => return Ok(HeaderMap::new()),
            Credentials::Basic { username, password } => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
            }
            Credentials::Bearer { token } => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::try_from(authorization)
            .map_err(|_| "`bearer_token` has characters that no header can have".to_owned())?;
        // Then nothing that shows headers shows it.
        value.set_sensitive(true);
        Ok([(AUTHORIZATION, value)].into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(settings: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<String, String> {
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let of_environment =
            |name: &str| Some(environment.iter().find(|(key, _)| *key == name)?.1.to_owned());
        let (credentials, others) = Credentials::among(settings, of_environment)?;
        assert!(others.iter().all(|(key, _)| key == "timeout"), "{others:?}");
        let headers = credentials.headers()?;
        assert!(headers.values().all(HeaderValue::is_sensitive));
        Ok(headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default())
    }

    #[test]
    fn web_dav_credentials_of_the_environment_count_where_the_settings_have_none() {
        let environment = [("WEBDAV_USERNAME", "test"), ("WEBDAV_PASSWORD", "geheim")];
        assert_eq!(authorization(&[("timeout", "1s")], &environment).unwrap(), "Basic dGVzdDpnZWhlaW0=");
        assert_eq!(authorization(&[], &[("WEBDAV_BEARER_TOKEN", "geheim")]).unwrap(), "Bearer geheim");
        let settings = [("timeout", "1s"), ("bearer_token", "other")];
        assert_eq!(authorization(&settings, &environment).unwrap(), "Bearer other");
        assert_eq!(authorization(&[("timeout", "1s")], &[]).unwrap(), "");
        authorization(&[("username", "other")], &environment).unwrap_err();
    }
}
