//! What a provider's table says of a cloud: project, key file, profile, metadata server.

use unbroken::endpoint::Endpoint;
use unbroken::providers::Auth;

use super::Checker;
use crate::config::cloud;
use crate::config::file::ProviderFile;

/// Gives an endpoint its cloud's credentials.
pub(super) fn check(checker: &mut Checker<'_>, file: &ProviderFile, endpoint: &mut Endpoint) {
    if let Some(project) = &file.project {
        endpoint.project = Some(project.clone());
    }
    if let Some(path) = &file.credentials_file {
        match cloud::google_file(path.get_ref()) {
            _ if endpoint.provider.auth != Auth::Google => {
                checker.wrong(path, "only providers at Google Cloud have a `credentials_file`");
            }
            Ok(source) => cloud::set_google(endpoint, source),
            Err(why) => checker.wrong(path, &format!("of no use: {why}")),
        }
    }
    let is_aws = matches!(endpoint.provider.auth, Auth::Aws { .. });
    if let Some(name) = &file.profile {
        let profile = cloud::aws_profile(name.get_ref(), checker.environment);
        if endpoint.region.is_none()
            && let Some(region) = &profile.region
        {
            *endpoint = endpoint.clone().in_region(region);
        }
        match (profile.credentials, profile.unknown) {
            _ if !is_aws => checker.wrong(name, "only providers at AWS have a `profile`"),
            (Some(keys), _) => {
                endpoint.key_name = format!("profile {}", name.get_ref());
                endpoint.aws = Some(keys);
                endpoint.cloud = None;
            }
            (None, Some(way)) => checker.wrong(
                name,
                &format!("the profile wants `{way}`, which is not known here: use keys or roles of the machine"),
            ),
            (None, None) => checker.wrong(name, "there is no such profile with keys of its own"),
        }
    }
    if file.metadata && (is_aws || endpoint.provider.auth == Auth::Google) {
        cloud::set_metadata(endpoint, checker.environment);
    } else if file.metadata {
        checker.wrong(&file.name, "only providers at AWS and Google Cloud have `metadata`");
    }
}
