//! Lists that are read page by page, so that neither side holds thousands of objects at once.

use kube::api::{ListParams, ObjectList};

/// How many objects the API server is asked for at a time, as many as kubectl does.
pub(super) const PAGE: u32 = 500;

/// Hands every object of a list to `take`; `list` reads one page.
///
/// # Errors
/// What `list` says.
pub(super) async fn each<T: Clone>(
    params: ListParams,
    list: impl AsyncFn(&ListParams) -> kube::Result<ObjectList<T>>,
    mut take: impl FnMut(T),
) -> kube::Result<()> {
    let mut params = params.limit(PAGE);
    loop {
        let page = list(&params).await?;
        page.items.into_iter().for_each(&mut take);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}
