//! Credentials of clouds, as the environment and the files that it names say.
//!
//! The order is that of the clouds' own SDKs; the machine's metadata server is asked only where the
//! configuration says so: in most places there is none, and nobody should wait for it.

use secrecy::SecretString;
use unbroken::cloud::sigv4::AwsCredentials;
use unbroken::cloud::{Cloud, Source, aws, google};
use unbroken::endpoint::Endpoint;
use unbroken::providers::Auth;

use super::Environment;

/// Files of credentials are small.
const FILE_MAX: u64 = 1 << 20;

/// Gives an endpoint in a cloud what the environment has for it, if it has no key.
pub(super) fn equip(endpoint: &mut Endpoint, environment: &Environment) {
    match endpoint.provider.auth {
        Auth::Aws { .. } if endpoint.key.is_none() => equip_aws(endpoint, environment),
        Auth::Google => equip_google(endpoint, environment),
        Auth::Aws { .. } | Auth::Bearer | Auth::Header(_) => {}
    }
}

fn equip_aws(endpoint: &mut Endpoint, environment: &Environment) {
    if let Some(keys) = static_keys(environment) {
        "AWS_ACCESS_KEY_ID".clone_into(&mut endpoint.key_name);
        endpoint.aws = Some(keys);
        return;
    }
    let named = environment.get("AWS_PROFILE");
    let profile = aws_profile(named.unwrap_or("default"), environment);
    if let Some(region) = profile.region.filter(|_| endpoint.region.is_none()) {
        *endpoint = endpoint.clone().in_region(&region);
    }
    if let Some(keys) = profile.credentials {
        endpoint.key_name = format!("profile {}", named.unwrap_or("default"));
        endpoint.aws = Some(keys);
    } else if let Some(source) = container(environment) {
        set(endpoint, Source::Aws(source));
    }
}

fn equip_google(endpoint: &mut Endpoint, environment: &Environment) {
    let names = ["GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID", "GCLOUD_PROJECT"];
    endpoint.project = environment.first(&names).map(|(_, project)| project.to_owned());
    let file = environment.get("GOOGLE_APPLICATION_CREDENTIALS");
    if let Some(source) = file.and_then(|path| google_file(path).ok()) {
        set_google(endpoint, source);
    }
}

/// Credentials of Google's for an endpoint, and their project if it has none of its own.
pub(super) fn set_google(endpoint: &mut Endpoint, source: google::Source) {
    if endpoint.project.is_none() {
        endpoint.project = source.project().map(ToOwned::to_owned);
    }
    set(endpoint, Source::Google(source));
}

/// Credentials that end, for an endpoint.
pub(super) fn set(endpoint: &mut Endpoint, source: Source) {
    let cloud = Cloud::new(source);
    endpoint.key_name = cloud.name();
    endpoint.aws = None;
    endpoint.cloud = Some(cloud);
}

/// The machine's metadata server, for an endpoint in the cloud that it belongs to.
pub(super) fn set_metadata(endpoint: &mut Endpoint, environment: &Environment) {
    if endpoint.provider.auth == Auth::Google {
        let host = environment.get("GCE_METADATA_HOST");
        let base =
            host.map_or_else(|| google::METADATA.to_owned(), |host| format!("http://{host}"));
        set_google(endpoint, google::Source::Metadata(base));
        return;
    }
    let source = container(environment).unwrap_or_else(|| {
        let base = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let base = base.unwrap_or(aws::INSTANCE).trim_end_matches('/');
        aws::Source::Instance(base.to_owned())
    });
    set(endpoint, Source::Aws(source));
}

/// A key file of Google's.
///
/// # Errors
/// When it cannot be read or used; says why, without anything of it.
pub(super) fn google_file(path: &str) -> Result<google::Source, String> {
    let text = read(path).ok_or("the file cannot be read")?;
    google::Source::of_file(&text)
}

/// A profile of AWS's files.
pub(super) fn aws_profile(name: &str, environment: &Environment) -> aws::Profile {
    let home = environment.get("HOME").or_else(|| environment.get("USERPROFILE"));
    let file = |variable: &str, name: &str| {
        let path = environment.get(variable).map(ToOwned::to_owned);
        let path = path.or_else(|| home.map(|home| format!("{home}/.aws/{name}")));
        path.and_then(|path| read(&path)).unwrap_or_default()
    };
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    aws::profile(name, &credentials, &file("AWS_CONFIG_FILE", "config"))
}

fn static_keys(environment: &Environment) -> Option<AwsCredentials> {
    Some(AwsCredentials {
        access_key_id: environment.get("AWS_ACCESS_KEY_ID")?.to_owned(),
        secret_access_key: environment.get("AWS_SECRET_ACCESS_KEY")?.into(),
        session_token: environment.get("AWS_SESSION_TOKEN").map(SecretString::from),
    })
}

fn container(environment: &Environment) -> Option<aws::Source> {
    let relative = environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = match relative {
        Some(path) => format!("{}{path}", aws::CONTAINER),
        None => environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")?.to_owned(),
    };
    let in_file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").and_then(read);
    let token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(ToOwned::to_owned);
    let token = in_file.or(token).map(|token| SecretString::from(token.trim()));
    aws::Source::container(&url, token)
}

fn read(path: &str) -> Option<String> {
    let is_small = std::fs::metadata(path).is_ok_and(|file| file.len() <= FILE_MAX);
    is_small.then(|| std::fs::read_to_string(path).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use unbroken::providers::{BEDROCK, VERTEX};

    use super::*;

    fn equipped(provider: &'static unbroken::providers::Provider, of: &[(&str, &str)]) -> Endpoint {
        let environment: Environment =
            of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut endpoint = Endpoint::new(provider, None);
        equip(&mut endpoint, &environment);
        endpoint
    }

    #[test]
    fn awss_credentials_are_found_in_the_order_of_its_sdks() {
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")];
        let container = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
        let both = equipped(&BEDROCK, &[keys[0], keys[1], container]);
        assert_eq!((both.aws.is_some(), both.cloud.is_some()), (true, false));
        let only = equipped(&BEDROCK, &[container]);
        assert_eq!(only.key_name, "container credentials at http://169.254.170.2/v2/x");
        let evil = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://creds.example/x");
        assert!(!equipped(&BEDROCK, &[evil]).has_credentials());
        assert!(!equipped(&BEDROCK, &[keys[0]]).has_credentials());
        let folder = std::env::temp_dir().join(format!("unbroken-aws-{}", std::process::id()));
        std::fs::create_dir_all(folder.join(".aws")).unwrap();
        let files = [
            ("credentials", "[work]\naws_access_key_id=A\naws_secret_access_key=S\n"),
            ("config", "[profile work]\nregion=eu-west-1\n"),
        ];
        for (name, text) in files {
            std::fs::write(folder.join(".aws").join(name), text).unwrap();
        }
        let home = folder.to_string_lossy().into_owned();
        let work = equipped(&BEDROCK, &[("HOME", &home), ("AWS_PROFILE", "work")]);
        assert_eq!(work.aws.as_ref().unwrap().access_key_id, "A");
        assert_eq!(work.base_url, "https://bedrock-runtime.eu-west-1.amazonaws.com");
        assert!(!equipped(&BEDROCK, &[("HOME", &home)]).has_credentials(), "no default profile");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn googles_key_file_brings_its_project() {
        let root = env!("CARGO_MANIFEST_DIR");
        let file = format!("{root}/../../fixtures/keys/service-account.json");
        let file = ("GOOGLE_APPLICATION_CREDENTIALS", file.as_str());
        let endpoint = equipped(&VERTEX, &[file]);
        assert_eq!(endpoint.project.as_deref(), Some("fake-project"));
        assert!(endpoint.key_name.starts_with("service account gateway@"), "{endpoint:?}");
        let other = equipped(&VERTEX, &[file, ("GOOGLE_CLOUD_PROJECT", "mine")]);
        assert_eq!(other.project.as_deref(), Some("mine"));
        let none = equipped(&VERTEX, &[("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")]);
        assert!(!none.has_credentials());
    }
}
